#include "capf/service/published.h"

#include <charconv>
#include <optional>

#include <sys/stat.h>

#include "capf/base/secret.h"

namespace capf::service {
namespace {

constexpr std::string_view kSuffix = ".crl";

std::string file_name(const CrlShard& shard) {
  return std::to_string(shard.issuer_id) + '-' + std::to_string(shard.shard) + std::string(kSuffix);
}

/// "<issuer>-<shard>.crl"
std::optional<CrlShard> parse_file_name(const std::string& name) {
  CrlShard shard;
  const char* end = name.data() + name.size();
  const auto issuer = std::from_chars(name.data(), end, shard.issuer_id);
  if (issuer.ec != std::errc{} || issuer.ptr == end || *issuer.ptr != '-') return std::nullopt;
  const auto number = std::from_chars(issuer.ptr + 1, end, shard.shard);
  if (number.ec != std::errc{} || file_name(shard) != name) return std::nullopt;
  return shard;
}

}  // namespace

Result<std::unique_ptr<PublishedCrls>> PublishedCrls::open(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail_internal("cannot make " + folder.string());
  CAPF_TRY(check_private(folder));
  std::unique_ptr<PublishedCrls> published(new PublishedCrls(folder));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const auto shard = parse_file_name(entry.path().filename().string());
    if (!shard) continue;
    if (Status loaded = published->load(*shard); !loaded) {
      loaded.error().message = entry.path().string() + ": " + loaded.error().message;
      return fail(std::move(loaded).error());
    }
  }
  if (error) return fail_internal(folder.string() + ": " + error.message());
  return published;
}

Status PublishedCrls::load(const CrlShard& shard) {
  CAPF_LET(const ca::CrlReader reader, ca::CrlReader::open(path(shard)));
  CAPF_LET(const Sha256 sha256, reader.digest());
  CAPF_LET(File file, File::open(path(shard)));
  auto crl =
      std::make_shared<const PublishedCrl>(PublishedCrl{shard, reader.terms(), reader.size(), sha256, std::move(file)});
  const std::lock_guard lock(mutex_);
  newest_[shard] = std::move(crl);
  return {};
}

std::shared_ptr<const PublishedCrl> PublishedCrls::find(const CrlShard& shard) const {
  const std::lock_guard lock(mutex_);
  const auto found = newest_.find(shard);
  return found == newest_.end() ? nullptr : found->second;
}

std::vector<CrlMark> PublishedCrls::marks() const {
  std::vector<CrlMark> marks;
  const std::lock_guard lock(mutex_);
  for (const auto& [shard, crl] : newest_) marks.push_back({shard, crl->terms.number});
  return marks;
}

std::vector<std::shared_ptr<const PublishedCrl>> PublishedCrls::all() const {
  std::vector<std::shared_ptr<const PublishedCrl>> crls;
  const std::lock_guard lock(mutex_);
  for (const auto& [shard, crl] : newest_) crls.push_back(crl);
  return crls;
}

Status PublishedCrls::check(Transaction& tx) const {
  CAPF_LET(const bool behind, tx.crls().behind(marks()));
  if (behind) return fail(Reason::kDatabaseBehind);
  return {};
}

std::filesystem::path PublishedCrls::path(const CrlShard& shard) const { return folder_ / file_name(shard); }

std::filesystem::path PublishedCrls::path_aside(const CrlShard& shard) const {
  return folder_ / (file_name(shard) + ".new");
}

Status PublishedCrls::take(const CrlShard& shard) {
  CAPF_TRY(replace_file(path_aside(shard), path(shard)));
  return load(shard);
}

Status store_pieces(Transaction& tx, const CrlRecord& record, const File& file) {
  Bytes piece(kLargestCrlPiece);
  std::int64_t size = 0;
  for (int position = 0; size < record.size; ++position) {
    CAPF_LET(const std::size_t count, file.read(static_cast<std::uint64_t>(size), piece));
    if (count == 0) return fail_internal("a CRL became shorter");
    CAPF_TRY(tx.crls().add_piece(record, position, BytesView(piece).first(count)));
    size += static_cast<std::int64_t>(count);
  }
  return {};
}

}  // namespace capf::service
