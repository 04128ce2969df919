#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace capf::phone {

/// The smallest of the sorted values that at least `percent` of them do not exceed (nearest rank); 0 for none.
double percentile(const std::vector<double>& sorted, double percent);

/// The outcomes of many phones. Threads: any.
class Tally {
 public:
  /// @param outcome "done", or the reason of a refusal
  void add(const std::string& outcome, std::chrono::duration<double> took);
  std::size_t count(const std::string& outcome) const;
  std::size_t total() const;
  /// Lines of words and numbers: phones, rate, percentiles of those that were done, and a line for each outcome.
  /// @param processor time that this program used meanwhile, on all cores
  std::string words(std::chrono::duration<double> elapsed, std::chrono::duration<double> processor) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> outcomes_;
  std::vector<double> seconds_;
};

}  // namespace capf::phone
