#include "capf/service/made_files.h"

#include <iterator>

namespace capf::service {

std::optional<MadeFile> MadeFiles::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  places_.splice(places_.begin(), places_, found->second);
  return found->second->made;
}

void MadeFiles::put(const std::string& name, MadeFile made) {
  const std::lock_guard lock(mutex_);
  const auto former = by_name_.find(name);
  if (former != by_name_.end()) remove(former->second);
  const std::size_t size = made.file.octets->size();
  if (size > limits_.octets) return;
  while (places_.size() >= limits_.files || octets_ + size > limits_.octets) remove(std::prev(places_.end()));
  octets_ += size;
  places_.push_front({name, std::move(made)});
  by_name_.emplace(name, places_.begin());
}

void MadeFiles::remove(std::list<Place>::iterator place) {
  octets_ -= place->made.file.octets->size();
  by_name_.erase(place->name);
  places_.erase(place);
}

}  // namespace capf::service
