#include "capf/service/phone_files.h"

#include <cstddef>
#include <numeric>

namespace capf::service {

void PhoneFiles::open_each(std::span<const files::FileRequest* const> requests, const Done& done) {
  std::vector<std::size_t> places(requests.size());  // of those that no source has answered
  std::iota(places.begin(), places.end(), std::size_t{0});
  for (PhoneFileSource* source : sources_) {
    if (places.empty()) return;
    std::vector<const files::FileRequest*> asked;
    for (const std::size_t place : places) asked.push_back(requests[place]);
    std::vector<std::size_t> rest;
    source->open_each(asked, [&](std::size_t place, Result<std::optional<PhoneFile>> file) {
      if (file && !*file) return rest.push_back(places[place]);
      done(places[place], std::move(file));
    });
    places = std::move(rest);
  }
  for (const std::size_t place : places) done(place, std::nullopt);
}

}  // namespace capf::service
