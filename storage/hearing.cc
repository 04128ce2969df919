#include "storage/hearing.h"

namespace capf::storage {
namespace {

/// The most addresses whose strings for unknown devices are counted at one time.
constexpr int kLargestStrangers = 1000;

const Statement kHear{"hearing_hear",
                      "select refusal from unnest(hear_strings($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], "
                      "$5::int[], $6::boolean[], $7::int, $8::int * interval '1 minute', $9::int, $10::int)) "
                      "with ordinality as heard (refusal, place) order by place"};

std::optional<Reason> read(Columns& columns) { return columns.optional_reason(); }

}  // namespace

Result<std::vector<std::optional<Reason>>> hear(Session& session, std::span<const HeardString* const> heard) {
  std::vector<std::int64_t> phones, operations, strings, limits, right;
  std::vector<std::string> blocks;
  for (const HeardString* each : heard) {
    phones.push_back(each->phone_id);
    operations.push_back(each->operation_id);
    blocks.push_back(each->said.address_block);
    strings.push_back(each->said.string);
    limits.push_back(each->said.per_address);
    right.push_back(each->right ? 1 : 0);
  }
  CAPF_LET(auto refusals, session.all(kHear,
                                      Parameters(phones, operations, blocks, strings, limits, right, kStringsPerDevice,
                                                 static_cast<int>(kStringLock.count()), kStringsPerAddressAndDevice,
                                                 kLargestStrangers),
                                      read));
  if (refusals.size() != heard.size()) return fail_internal("hearing_hear has not answered all strings");
  return refusals;
}

}  // namespace capf::storage
