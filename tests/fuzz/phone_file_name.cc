#include <algorithm>

#include "capf/files/name.h"

using namespace capf;

namespace {

std::string written(const files::FileRequest& request) {
  const std::string device = request.device ? request.device->text() : "File";
  const std::string suffix = request.form == files::Form::kPlain    ? ""
                             : request.form == files::Form::kSigned ? ".sgn"
                                                                    : ".enc.sgn";
  switch (request.wanted) {
    case files::Wanted::kTrustList: return (request.list == files::ListKind::kCtl ? "CTL" : "ITL") + device + ".tlv";
    case files::Wanted::kConfiguration: return device + ".cnf.xml" + suffix;
    case files::Wanted::kDefault: return "XMLDefault.cnf.xml";
    case files::Wanted::kStatic: return request.path + suffix;
  }
  CAPF_INVARIANT(false);
}

}  // namespace

// A name that a stranger asks the file server for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view name = as_text({data, size});
  const auto request = files::parse_file_name(name);
  if (!request) return 0;
  CAPF_INVARIANT(written(*request) == name);
  CAPF_INVARIANT(std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F && c != '\\'; }));
  if (request->wanted != files::Wanted::kStatic) return 0;
  CAPF_INVARIANT(!request->path.empty() && request->path.front() != '/' && request->path.back() != '/');
  CAPF_INVARIANT(request->path.front() != '.' && request->path.find("/.") == std::string::npos);
  CAPF_INVARIANT(request->path.find("//") == std::string::npos);
  return 0;
}
