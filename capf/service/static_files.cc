#include "capf/service/static_files.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "capf/files/certificate.h"
#include "capf/files/signed_file.h"

namespace capf::service {
namespace {

/// The whole file. Errors: CHANGED_MEANWHILE where somebody is writing it.
Result<Bytes> read_whole(const File& file, std::uint64_t size) {
  Bytes octets(static_cast<std::size_t>(size));
  CAPF_LET(const std::size_t count, file.read(0, octets));
  if (count != octets.size()) return fail(Reason::kChangedMeanwhile);
  return octets;
}

}  // namespace

Result<std::optional<StaticFiles::Found>> StaticFiles::find(const files::FileRequest& request) {
  if (request.wanted != files::Wanted::kStatic || settings_.folder.empty()) return std::nullopt;
  const bool is_signed = request.form == files::Form::kSigned;
  std::shared_ptr<const PhoneKey> key = is_signed ? signer_() : nullptr;
  if (is_signed && key == nullptr) return std::nullopt;
  CAPF_LET(auto file, File::open_beneath(settings_.folder, request.path));
  if (!file) return std::nullopt;
  CAPF_LET(const std::uint64_t size, file->size());
  CAPF_LET(const std::int64_t changed_at, file->changed_at());
  Found found{request.path, *std::move(file), size, std::to_string(size) + '-' + std::to_string(changed_at), key};
  if (is_signed) {
    found.name += ".sgn";
    found.generation += '-' + to_hex(BytesView(sha256(key->certificate)).first(4)) + '-' +
                        std::to_string(static_cast<int>(settings_.digest));
  }
  if (found.needed() <= room_for(found.needed())) return found;
  if (complaints_.admit(std::chrono::steady_clock::now())) {
    log_warning("files.too_large",
                {{"name", found.name}, {"words", "larger than seven eighths of files.memory_mib: it is not served"}});
  }
  return std::nullopt;
}

Result<std::optional<std::string>> StaticFiles::generation(const files::FileRequest& request) {
  CAPF_LET(auto found, find(request));
  if (!found) return std::nullopt;
  return std::move(found->generation);
}

/// Files are read and signed one after the other, so that phones that come together cause the work once.
Result<std::optional<PhoneFile>> StaticFiles::open(const files::FileRequest& request) {
  CAPF_LET(const auto found, find(request));
  if (!found) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (const auto kept = kept_.find(found->name); kept != kept_.end()) {
    if (kept->second.generation == found->generation) {
      kept->second.used = ++uses_;
      return PhoneFile{kept->second.octets, found->generation};
    }
    held_ -= kept->second.octets->size();
    kept_.erase(kept);
  }
  if (!make_room(found->needed())) return fail(Reason::kOverloaded);
  CAPF_LET(Bytes octets, read_whole(found->file, found->size));
  if (found->key != nullptr) {
    CAPF_LET(octets, signed_with(*found->key, found->name, octets));
  }
  const auto made = std::make_shared<const Bytes>(std::move(octets));
  held_ += made->size();
  kept_.emplace(found->name, Kept{made, found->generation, ++uses_});
  return PhoneFile{made, found->generation};
}

std::size_t StaticFiles::room_for(std::size_t size) const {
  return size > settings_.memory / 64 ? settings_.memory - settings_.memory / 8 : settings_.memory;
}

/// Forgets the files that were used least lately, and that nobody is sending.
bool StaticFiles::make_room(std::size_t size) {
  while (held_ + size > room_for(size)) {
    auto oldest = kept_.end();
    for (auto each = kept_.begin(); each != kept_.end(); ++each) {
      const bool idle = each->second.octets.use_count() == 1;
      if (idle && (oldest == kept_.end() || each->second.used < oldest->second.used)) oldest = each;
    }
    if (oldest == kept_.end()) return false;
    held_ -= oldest->second.octets->size();
    kept_.erase(oldest);
  }
  return true;
}

Result<Bytes> StaticFiles::signed_with(const PhoneKey& key, const std::string& name, BytesView content) const {
  CAPF_LET(const files::Certificate certificate, files::Certificate::read(key.certificate));
  return files::make_signed({.name = name, .digest = settings_.digest, .made_at = clock_.now()}, content,
                            {certificate, *key.key, random_});
}

Result<Bytes> StaticFiles::sign(const std::string& name, BytesView content) const {
  const auto request = files::parse_file_name(name + ".sgn");
  if (!request || request->wanted != files::Wanted::kStatic) {
    return fail(Reason::kInvalidRequest,
                "a file of this name is not signed alone: lists and configurations are the "
                "server's own, and other names have letters, digits, '.', '_', '-' and '+'");
  }
  const std::shared_ptr<const PhoneKey> key = signer_();
  if (key == nullptr) return fail(Reason::kNoFileSigner);
  return signed_with(*key, name + ".sgn", content);
}

Result<std::vector<std::string>> StaticFiles::names() const {
  std::vector<std::string> names;
  if (settings_.folder.empty()) return names;
  std::error_code error;
  // Links to folders are not followed.
  auto each = std::filesystem::recursive_directory_iterator(settings_.folder, error);
  for (; !error && each != std::filesystem::recursive_directory_iterator(); each.increment(error)) {
    const std::string name = each->path().lexically_relative(settings_.folder).string();
    const auto request = files::parse_file_name(name);
    const bool plain = request && request->wanted == files::Wanted::kStatic && request->form == files::Form::kPlain;
    if (!plain || !std::filesystem::is_regular_file(each->symlink_status(error))) continue;
    if (names.size() == kMostNames) {
      return fail(Reason::kInvalidConfiguration, "files.static has more than 100000 files");
    }
    names.push_back(name);
  }
  if (error) return fail(Reason::kInvalidConfiguration, settings_.folder.string() + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace capf::service
