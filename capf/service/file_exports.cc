#include "capf/service/file_exports.h"

#include "capf/domain/audit_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

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
  CAPF_LET(auto file, files_.open(request));
  if (!file || !request.device || request.wanted != files::Wanted::kTrustList) return file;
  files::FileRequest everybodys = request;
  everybodys.device.reset();
  CAPF_LET(const auto common, files_.open(everybodys));
  if (common && *common->octets == *file->octets) return std::nullopt;
  return file;
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
