#include "capf/rpc/connections.h"

namespace capf::rpc {

std::optional<Connections::Place> Connections::enter(const Endpoint& peer, std::function<void()> cut, Moment now) {
  const std::string block = peer.address.block();
  const std::lock_guard lock(mutex_);
  if (!make_room(block, now)) return std::nullopt;
  strangers_.push_back({&strangers_, peer.to_string(), block, now, std::move(cut)});
  const auto entry = std::prev(strangers_.end());
  ++strangers_by_block_[block];
  by_peer_.emplace(entry->peer, entry);
  return Place(this, entry);
}

void Connections::prove(const Endpoint& peer) {
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = by_peer_.equal_range(peer.to_string());
  for (auto found = begin; found != end; ++found) {
    const Entries::iterator entry = found->second;
    if (entry->in != &strangers_) continue;
    forget_stranger(entry->block);
    known_.splice(known_.end(), strangers_, entry);
    entry->in = &known_;
  }
}

void Connections::cut_overdue(Moment now) {
  const std::lock_guard lock(mutex_);
  while (!strangers_.empty() && now - strangers_.front().since >= limits_.longest) cut(strangers_.begin());
}

void Connections::leave(Entries::iterator entry) {
  const std::lock_guard lock(mutex_);
  if (entry->in == &strangers_) forget_stranger(entry->block);
  const auto [begin, end] = by_peer_.equal_range(entry->peer);
  for (auto found = begin; found != end; ++found) {
    if (found->second == entry) {
      by_peer_.erase(found);
      break;
    }
  }
  entry->in->erase(entry);
}

bool Connections::make_room(const std::string& block, Moment now) {
  const auto found = strangers_by_block_.find(block);
  const bool neighbours_full = found != strangers_by_block_.end() && found->second >= limits_.strangers_of_one;
  const bool full = strangers_.size() >= limits_.strangers || strangers_.size() + known_.size() >= limits_.all;
  if (!neighbours_full && !full) return true;
  for (auto entry = strangers_.begin(); entry != strangers_.end() && now - entry->since >= limits_.gives_way; ++entry) {
    if (neighbours_full && entry->block != block) continue;
    cut(entry);
    return true;
  }
  return false;
}

void Connections::cut(Entries::iterator stranger) {
  forget_stranger(stranger->block);
  cut_.splice(cut_.end(), strangers_, stranger);
  stranger->in = &cut_;
  stranger->cut();
}

void Connections::forget_stranger(const std::string& block) {
  const auto found = strangers_by_block_.find(block);
  if (--found->second == 0) strangers_by_block_.erase(found);
}

}  // namespace capf::rpc
