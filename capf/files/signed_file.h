#pragma once

#include <functional>

#include "capf/base/secret.h"
#include "capf/files/header.h"

// Signed and encrypted files: ".sgn" and ".enc.sgn". Source: specs/phone-files.md 4 and 5.

namespace capf::files {

struct FileTerms {
  std::string name;  ///< as it was asked for, ".sgn" included, and with its folder where it has one
  Digest digest = Digest::kSha512;
  TimePoint made_at{};
};

/// Header and content. Errors: those of sign_file().
Result<Bytes> make_signed(const FileTerms& terms, BytesView content, const FileSigner& signer);
/// Checks name and signature. @return the content. Errors: FILE_MALFORMED, FILE_NAME_MISMATCH, FILE_SIGNATURE.
Result<BytesView> verify_signed(BytesView file, std::string_view name, const Certificate& signer);
/// The content, of whomever it is. Errors: FILE_MALFORMED.
Result<BytesView> strip(BytesView file);

/// Encrypts a configuration for the key of one phone, with a content key and an IV that are never used again, and signs
/// the outcome. Errors: ENCRYPTED_CONFIG_NEEDS_RSA for a phone with another key, those of sign_file().
Result<Bytes> make_encrypted(const FileTerms& terms, const Secret& content, const Certificate& phone,
                             const FileSigner& signer);
/// Checks name and signature of an encrypted file, which the phone alone can open. Errors: those of verify_signed().
Status verify_encrypted(BytesView file, std::string_view name, const Certificate& signer);
/// The same, and what is inside. Errors: also FILE_MALFORMED, the same for whatever is wrong: another key, padding,
/// digest.
/// @param unwrap decrypts the content key with the phone's key
Result<Secret> open_encrypted(BytesView file, std::string_view name, const Certificate& signer,
                              const std::function<Result<Secret>(BytesView)>& unwrap);

/// Of a whole file, in lower case: phones show one of them for a trust list in their menu.
struct Checksums {
  std::string md5;
  std::string sha1;
};
Checksums checksums(BytesView file);

/// The MD5 of the certificate in lower case, by which an encrypted configuration says whose key opens it. It is a name
/// and protects nothing.
std::string certificate_hash(BytesView der);

}  // namespace capf::files
