# Writes OUTPUT, a C++ file with the text and the SHA-256 of every file in FILES: cmake -DOUTPUT=… -DFILES=… -P this.
set(entries "")
set(expected 1)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(REGEX MATCH "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)\\.sql$" matched ${name})
  set(words "${CMAKE_MATCH_2}")
  string(REGEX REPLACE "^0+" "" version "${CMAKE_MATCH_1}")
  if(NOT matched OR NOT version EQUAL expected)
    message(FATAL_ERROR "migration ${expected} is not ${name}: NNNN_words.sql, without gaps")
  endif()
  file(SHA256 ${file} digest)
  file(READ ${file} text)
  if(text MATCHES "^-- beside" AND NOT text MATCHES "^-- beside servers from migration [1-9][0-9]* on\n")
    message(FATAL_ERROR "${name}: its first line is not \"-- beside servers from migration N on\" (storage/README.md)")
  endif()
  string(APPEND entries "    {${version}, \"${words}\", \"${digest}\", R\"migration(${text})migration\"},\n")
  math(EXPR expected "${expected} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"storage/migrate.h\"

namespace capf::storage {
namespace {

constexpr Migration kMigrations[] = {
${entries}};

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace capf::storage
")
