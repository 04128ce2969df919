#include "capf/service/file_exports.h"

#include <utility>
#include <vector>

#include "capf/domain/audit_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::size_t kTogether = 50;  // names that are opened at a time: of ten phones

Status call(const FileExports::Each& each, const std::string& name) {
  const auto request = files::parse_file_name(name);
  if (!request) return {};  // of a device that fetches no files
  return each(name, *request);
}

Status walk_device(const DeviceName& device, const FileExports::Each& each) {
  const std::string& name = device.text();
  for (const std::string& file : {"CTL" + name + ".tlv", "ITL" + name + ".tlv", name + ".cnf.xml",
                                  name + ".cnf.xml.sgn", name + ".cnf.xml.enc.sgn"}) {
    CAPF_TRY(call(each, file));
  }
  return {};
}

}  // namespace

Status FileExports::begin(const Actor& actor, const std::optional<Pattern>& devices) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    return tx.audit().add(done(actor, "file.export", devices ? devices->text() : "all"));
  });
}

Status FileExports::walk(const std::optional<Pattern>& devices, const Each& each) {
  PhoneSelection selection;
  if (devices) {
    selection.patterns = {*devices};
  } else {
    for (const char* name : {"CTLFile.tlv", "ITLFile.tlv", "XMLDefault.cnf.xml"}) CAPF_TRY(call(each, name));
    CAPF_LET(const auto names, statics_.names());
    for (const std::string& name : names) {
      CAPF_TRY(call(each, name));
      CAPF_TRY(call(each, name + ".sgn"));
    }
  }
  for (PhonePage page{{}, kLargestPage};;) {
    std::vector<Phone> phones;
    std::optional<DeviceName> next;
    const Status read = database_.read([&](Transaction& tx) -> Status {
      CAPF_LET(const SelectedPhones found, tx.phones().select(selection, page));
      CAPF_LET(phones, tx.phones().find_all(found.ids));
      next = found.next;
      return {};
    });
    CAPF_TRY(read);
    for (const Phone& phone : phones) CAPF_TRY(walk_device(phone.device, each));
    if (!next) return {};
    page.after = next;
  }
}

Result<std::optional<PhoneFile>> FileExports::open(const files::FileRequest& request) {
  Common common;
  return unless_common(request, files_.open(request), common);
}

Result<std::optional<PhoneFile>> FileExports::unless_common(const files::FileRequest& request,
                                                            Result<std::optional<PhoneFile>> file, Common& common) {
  if (!file || !*file || !request.device || request.wanted != files::Wanted::kTrustList) return file;
  auto known = common.find(request.list);
  if (known == common.end()) {
    files::FileRequest everybodys = request;
    everybodys.device.reset();
    CAPF_LET(auto list, files_.open(everybodys));
    known = common.emplace(request.list, std::move(list)).first;
  }
  const auto& list = known->second;
  if (list && *list->octets == *(*file)->octets) return std::nullopt;
  return file;
}

Status FileExports::open_all(const std::optional<Pattern>& devices, const EachFile& each) {
  std::vector<std::pair<std::string, files::FileRequest>> group;
  const auto open_group = [&]() -> Status {
    std::vector<const files::FileRequest*> wanted;
    for (const auto& [name, request] : group) wanted.push_back(&request);
    Common common;
    Status status;
    files_.open_each(wanted, [&](std::size_t place, Result<std::optional<PhoneFile>> opened) {
      if (!status) return;
      const auto& [name, request] = group[place];
      auto file = unless_common(request, std::move(opened), common);
      if (!file) {
        status = each(name, fail(file.error()));
      } else if (*file) {
        status = each(name, *std::move(*file));
      }
    });
    group.clear();
    return status;
  };
  CAPF_TRY(walk(devices, [&](const std::string& name, const files::FileRequest& request) -> Status {
    group.emplace_back(name, request);
    return group.size() < kTogether ? Status() : open_group();
  }));
  return open_group();
}

Result<Bytes> FileExports::sign(const Actor& actor, const std::string& name, BytesView content) {
  if (content.size() > kLargestFileToSign) {
    return fail(Reason::kRequestTooLarge, "a file that is signed alone has at most 8 MiB: put it under files.static");
  }
  CAPF_LET(Bytes file, statics_.sign(name, content));
  CAPF_TRY(in_write(database_, actor, [&](Transaction& tx) -> Status {
    return tx.audit().add(done(actor, "file.sign", name + ".sgn", "SHA-256 " + to_hex(sha256(content))));
  }));
  return file;
}

}  // namespace capf::service
