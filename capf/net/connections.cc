#include "capf/net/connections.h"

namespace capf::net {

std::optional<Connections::Place> Connections::enter(const Address& peer, Moment now) {
  const std::string block = peer.block();
  const std::lock_guard lock(mutex_);
  ++came_;
  if (!make_room(block, now)) {
    ++refused_;
    return std::nullopt;
  }
  const auto from = blocks_.try_emplace(block).first;
  strangers_.push_back({&strangers_, &*from, {}, now, {}});
  const auto entry = std::prev(strangers_.end());
  ++from->second.all;
  entry->among = from->second.strangers.insert(from->second.strangers.end(), entry);
  return Place(this, entry);
}

void Connections::Place::on_cut(std::function<void()> cut) {
  const std::lock_guard lock(owner_->mutex_);
  entry_->cut = std::move(cut);
  if (entry_->in == &owner_->cut_) entry_->cut();
}

void Connections::Place::prove() {
  Connections& all = *owner_;
  const std::lock_guard lock(all.mutex_);
  if (entry_->in != &all.strangers_) return;
  entry_->from->second.strangers.erase(entry_->among);
  all.known_.splice(all.known_.end(), all.strangers_, entry_);
  entry_->in = &all.known_;
}

void Connections::Place::lapse(Moment now) {
  Connections& all = *owner_;
  const std::lock_guard lock(all.mutex_);
  if (entry_->in != &all.known_) return;
  all.strangers_.splice(all.strangers_.end(), all.known_, entry_);
  entry_->in = &all.strangers_;
  entry_->since = now;
  auto& neighbours = entry_->from->second.strangers;
  entry_->among = neighbours.insert(neighbours.end(), entry_);
}

void Connections::cut_overdue(Moment now) {
  const std::lock_guard lock(mutex_);
  while (!strangers_.empty() && now - strangers_.front().since >= limits_.longest) cut(strangers_.begin());
}

bool Connections::wait_until_empty(std::chrono::microseconds patience) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_for(lock, patience, [&] { return is_empty(); });
}

ConnectionCounts Connections::counts() const {
  const std::lock_guard lock(mutex_);
  return {strangers_.size() + known_.size(), strangers_.size(), came_, refused_, all_cut_};
}

void Connections::leave(Entries::iterator entry) {
  const std::lock_guard lock(mutex_);
  leave_block(*entry);
  entry->in->erase(entry);
  if (is_empty()) emptied_.notify_all();
}

bool Connections::make_room(const std::string& block, Moment now) {
  const auto found = blocks_.find(block);
  const bool neighbours_full = found != blocks_.end() && (found->second.all >= limits_.of_one ||
                                                          found->second.strangers.size() >= limits_.strangers_of_one);
  const bool full = strangers_.size() >= limits_.strangers || strangers_.size() + known_.size() >= limits_.all;
  if (!neighbours_full && !full) return true;
  if (strangers_.empty() || (neighbours_full && found->second.strangers.empty())) return false;
  const Entries::iterator oldest = neighbours_full ? found->second.strangers.front() : strangers_.begin();
  if (now - oldest->since < limits_.gives_way) return false;
  cut(oldest);
  return true;
}

void Connections::cut(Entries::iterator stranger) {
  leave_block(*stranger);
  cut_.splice(cut_.end(), strangers_, stranger);
  stranger->in = &cut_;
  ++all_cut_;
  if (stranger->cut) stranger->cut();
}

void Connections::leave_block(Entry& entry) {
  if (entry.from == nullptr) return;
  Block& block = entry.from->second;
  if (entry.in == &strangers_) block.strangers.erase(entry.among);
  if (--block.all == 0) blocks_.erase(blocks_.find(entry.from->first));
  entry.from = nullptr;
}

}  // namespace capf::net
