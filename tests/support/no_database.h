#pragma once

#include "capf/domain/database.h"
#include "capf/domain/dossier.h"
#include "capf/domain/rounds.h"
#include "capf/domain/strings.h"

namespace capf::test {

/// A database that is away.
class NoDatabase final : public Database {
 public:
  Status write(const std::function<Status(Transaction&)>&) override { return away(); }
  Status read(const std::function<Status(Transaction&)>&) override { return away(); }
  Rounds& rounds() override { return rounds_; }

 private:
  class NoRounds final : public Rounds {
   public:
    Result<Dossier> look(const Enquiry&, Share, const std::function<bool()>&) override { return away(); }
    Result<Written> write(const Change&, Share, const std::function<bool()>&) override { return away(); }
    Result<std::optional<Reason>> hear(const HeardString&) override { return away(); }
    Status record(std::span<const RefusalRecord>) override { return away(); }
  };
  static tl::unexpected<Error> away() { return fail(Reason::kDatabaseUnavailable); }

  NoRounds rounds_;
};

}  // namespace capf::test
