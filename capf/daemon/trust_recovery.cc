#include "capf/daemon/trust_recovery.h"

#include <utility>

#include "capf/service/trust_lists.h"

namespace capf::daemon {

Result<std::string> recover_trust_lists(const Machine& machine, const service::PhoneKeys& keys,
                                        const SitePolicy& policy, const std::filesystem::path& key,
                                        const std::string& passphrase, Botan::RandomNumberGenerator& random) {
  CAPF_LET(const Secret pem, read_secret_file(key));
  Secret its;
  if (!passphrase.empty()) {
    CAPF_LET(its, read_secret(passphrase));
  }
  CAPF_LET(std::shared_ptr<const ca::SigningKey> signer, ca::decrypt_key(pem.view(), its));
  // The server that runs knows whether the database is behind, and this command does not.
  const service::HighWater unknown{};
  service::TrustLists lists(*machine.database, keys, policy, unknown, random, *machine.clock);
  CAPF_LET(const service::BuildAnswer answer,
           lists.recover({ActorKind::kSystem, "capfd trust-list recover", ""}, signer));
  std::string words;
  for (const service::BuiltList& built : answer.lists) {
    words += std::string(to_string(built.list.kind)) + " " + std::to_string(built.list.generation) +
             " is published, signed by the recovery signer.\n";
  }
  if (words.empty()) return std::string("the present lists have this server's list signer already\n");
  return words +
         "Phones follow it with their next start. Wait until 'capfctl trust-list show' says that they have fetched it "
         "before anything else in the lists changes, and take the key away again.\n";
}

}  // namespace capf::daemon
