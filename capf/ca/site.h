#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/ca/key.h"
#include "capf/domain/policy.h"

// The certificates of a site that are not LSCs. Each function builds, signs, parses again and checks.

namespace capf::ca {

/// RFC 4514 text, e.g. "CN=CAPF-1A2B3C4D,O=Example,C=DE": CN, O, OU, L, ST, C, each at most once but OU, C of two
/// letters. Errors: INVALID_CONFIGURATION.
Status check_subject(const std::string& subject);

/// The longest validity of a certificate of the site's own.
inline constexpr std::chrono::days kLongestValidity{36500};

struct AuthorityRequest {
  std::string subject;  ///< RFC 4514; empty: CN=CAPF-<8 hex digits>,O=CAPF (site CA: CN=Site CA <8 hex digits>,O=CAPF)
  TimePoint now;
  std::chrono::hours validity{24 * 3650};
  std::vector<std::string> hosts{};  ///< DNS names and IP addresses, of make_wire_certificate() alone
};

/// The CAPF issuer: CA:TRUE, pathlen 0, digitalSignature, keyCertSign, cRLSign, SKI, AKI; self-signed.
Result<Bytes> make_capf_certificate(const SigningKey& key, const AuthorityRequest& request,
                                    Botan::RandomNumberGenerator& random);
/// The same as a request (PKCS #10, DER) for a CA above it: pathlen 0, keyCertSign and cRLSign are asked for.
Result<Bytes> make_capf_request(const SigningKey& key, const std::string& subject,
                                Botan::RandomNumberGenerator& random);
/// Checks that an imported one will do: CA:TRUE, keyCertSign and cRLSign, in time, strong enough, chain whole; and that
/// a relying party, given the constraints of the chain, accepts LSCs and an OCSP responder's certificate made on trial.
/// @param form of the LSCs' subjects: with Cisco's, the plain one is tried too, since phones whose model is not known
/// have it. Errors: INVALID_CERTIFICATE; those of a token.
Status check_capf_certificate(const ImportedAuthority& authority, SubjectForm form, TimePoint now,
                              Botan::RandomNumberGenerator& random);
/// The site CA: signs servers and administrators, nothing else.
Result<Bytes> make_site_ca(const SigningKey& key, const AuthorityRequest& request,
                           Botan::RandomNumberGenerator& random);
/// The certificate of a port that phones know by their lists: self-signed, no CA, digitalSignature and keyEncipherment
/// (EC: keyAgreement), serverAuth. Without a subject CN=CAPF-<8 hex digits>,OU=CAPF,O=CAPF.
Result<Bytes> make_wire_certificate(const SigningKey& key, const AuthorityRequest& request,
                                    Botan::RandomNumberGenerator& random);
/// The certificate of a key that signs phones' files: self-signed, no CA, digitalSignature.
Result<Bytes> make_signer_certificate(const SigningKey& key, const AuthorityRequest& request,
                                      Botan::RandomNumberGenerator& random);
/// A request (PKCS #10, DER) for either of them. @param server serverAuth is asked for too
Result<Bytes> make_request(const SigningKey& key, const std::string& subject, bool server,
                           Botan::RandomNumberGenerator& random);

/// A site CA with its key, to sign with.
struct SiteAuthority {
  const SigningKey& key;
  BytesView certificate;  ///< DER
};
/// serverAuth; subject alternative names from `hosts` (DNS names and IP addresses).
Result<Bytes> make_server_certificate(const SiteAuthority& authority, BytesView public_key,
                                      const std::vector<std::string>& hosts, TimePoint now, std::chrono::hours validity,
                                      Botan::RandomNumberGenerator& random);
/// Whether a server's certificate is for this DNS name or IP address, as clients judge it.
bool names_host(BytesView certificate, const std::string& host);
/// clientAuth; CN=<name>, OU=Administrators.
Result<Bytes> make_administrator_certificate(const SiteAuthority& authority, BytesView public_key,
                                             const std::string& name, TimePoint now, std::chrono::hours validity,
                                             Botan::RandomNumberGenerator& random);

}  // namespace capf::ca
