#pragma once

#include <utility>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/time.h"
#include "capf/service/fetch_notes.h"
#include "capf/service/phone_file.h"

namespace capf::service {

/// All files for phones, of whichever source has them. Threads: any.
class PhoneFiles final : public PhoneFileSource {
 public:
  /// @param sources each answers its own kinds of names; they outlive this.
  PhoneFiles(std::vector<PhoneFileSource*> sources, FetchNotes& notes, const Clock& clock)
      : sources_(std::move(sources)), notes_(notes), clock_(clock) {}

  Result<std::optional<PhoneFile>> open(const files::FileRequest& request) override {
    return ask(&PhoneFileSource::open, request);
  }
  void open_each(std::span<const files::FileRequest* const> requests, const Done& done) override;
  Result<std::optional<std::string>> generation(const files::FileRequest& request) override {
    return ask(&PhoneFileSource::generation, request);
  }
  /// Notes that somebody has fetched the file, for the administrators. Does not block.
  void note(const files::FileRequest& request, const PhoneFile& file, const Address& peer) {
    notes_.add(request, file, peer, clock_.now());
  }

 private:
  template <class Answer>
  Answer ask(Answer (PhoneFileSource::*question)(const files::FileRequest&), const files::FileRequest& request) {
    for (PhoneFileSource* source : sources_) {
      Answer answer = (source->*question)(request);
      if (!answer || *answer) return answer;
    }
    return std::nullopt;
  }

  const std::vector<PhoneFileSource*> sources_;
  FetchNotes& notes_;
  const Clock& clock_;
};

}  // namespace capf::service
