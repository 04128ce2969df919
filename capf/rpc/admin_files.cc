#include <algorithm>

#include "capf/rpc/admin.h"
#include "capf/rpc/admission/cutoff.h"
#include "capf/rpc/convert.h"
#include "capf/service/file_exports.h"

namespace capf::rpc {
namespace {

constexpr std::size_t kPart = std::size_t{256} * 1024;

/// @return false where the caller takes no more
bool send(grpc::ServerContext& context, grpc::ServerWriter<v1::ExportedFile>& writer, const std::string& name,
          const service::PhoneFile& file) {
  BytesView rest = *file.octets;
  v1::ExportedFile out;
  out.set_name(name);
  out.set_generation(file.generation);
  do {
    const BytesView part = rest.first(std::min(rest.size(), kPart));
    rest = rest.subspan(part.size());
    out.set_part(to_octets(part));
    out.set_last(rest.empty());
    if (!write_soon(context, writer, out)) return false;
  } while (!rest.empty());
  return true;
}

}  // namespace

grpc::Status AdminService::ExportFiles(grpc::ServerContext* context, const v1::ExportFilesRequest* request,
                                       grpc::ServerWriter<v1::ExportedFile>* writer) {
  return guard_.admin_stream(*context, {kService, __func__}, exports_, [&](Stream& stream) -> Status {
    std::optional<Pattern> devices;
    if (!request->devices().empty()) {
      CAPF_LET(devices, Pattern::parse(request->devices()));
    }
    service::FileExports& exports = use_cases_.file_exports;
    CAPF_TRY(exports.begin(stream.actor(), devices));
    return exports.open_all(devices, [&](const std::string& name, const Result<service::PhoneFile>& file) -> Status {
      CAPF_TRY(stream.pause(std::chrono::milliseconds{0}));
      if (!file) return fail(file.error().reason, name + ": " + file.error().message, file.error().cause);
      return send(*context, *writer, name, *file) ? Status() : fail(Reason::kCallerGone);
    });
  });
}

grpc::Status AdminService::SignFile(grpc::ServerContext* context, const v1::SignFileRequest* request,
                                    v1::SignFileResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const Bytes file, use_cases_.file_exports.sign(call.actor, request->name(), as_bytes(request->content())));
    response->set_file(to_octets(file));
    return {};
  });
}

}  // namespace capf::rpc
