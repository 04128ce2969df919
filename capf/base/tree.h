#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/descriptor.h"
#include "capf/base/error.h"

namespace capf {

/// Facts of a tree's files, of which there may be millions: digests stand for names and generations, so that each file
/// costs some 20 octets, whatever its name.
class TreeEntries {
 public:
  struct Entry {
    std::uint64_t name;
    std::uint64_t generation : 62;
    std::uint64_t wanted : 1;  ///< it was put or kept
    std::uint64_t listed : 1;  ///< it is in the manifest to come, or removed

    bool is_of(std::string_view its_generation) const;
  };
  TreeEntries() : parts_(kParts) {}
  /// @return valid until the next call of set(); nothing where the name is not known
  Entry* find(std::string_view name);
  Entry& set(std::string_view name, std::string_view generation);

 private:
  static constexpr std::size_t kParts = 1024;  ///< so that each is short enough for an entry to be put between others
  std::vector<std::vector<Entry>> parts_;      ///< by their digests' last bits, each in the digests' order
};

/// A folder whose files this program keeps as they are to be, for servers that give them out. Other files in it are
/// left alone: a hidden file, the manifest, has the names of ours. A file that changes is written beside and renamed,
/// so that a reader finds a whole one, and where the disk is full the old one stays. Files have mode 0640, folders
/// 0750, and the group that the folder gives them by its set-group-ID bit. Threads: one.
class Tree {
 public:
  /// Holds the folder for this object alone. Errors: INVALID_REQUEST, with the path and the system's words, as for
  /// every method.
  /// @param manifest its name: files of another one are other files
  static Result<Tree> open(const std::filesystem::path& folder, const std::string& manifest = ".capf-files");

  /// Whether the file is there, and of this generation.
  bool has(const std::string& name, const std::string& generation);
  /// Leaves the file as it is, if it is one of ours.
  void keep(const std::string& name) {
    if (auto* const found = files_.find(name)) found->wanted = 1;
  }
  /// Writes a part of a file; behind the last one it is in its place. Parts of several files are not mixed. Nothing is
  /// written where the file is one part and has it already.
  /// @param name relative, its folders with '/', of parts that are neither empty nor begin with '.'; no folder on the
  /// way may be a link.
  /// @param generation of letters, digits and '-'
  Status put(const std::string& name, const std::string& generation, BytesView part, bool last);
  /// Removes the files of former times that were neither put nor kept, and of which `covered` says that they should
  /// have been, and syncs the file system. @return how many were removed
  Result<int> finish(const std::function<bool(const std::string& name)>& covered);

  int written() const { return written_; }

 private:
  Tree(std::filesystem::path folder, std::string manifest, Descriptor root)
      : folder_(std::move(folder)), manifest_(std::move(manifest)), root_(std::move(root)) {}
  tl::unexpected<Error> failed(std::string_view name) const;
  Result<Descriptor> folder_of(std::string_view name) const { return folder_of(name, root_.get()); }
  Result<Descriptor> folder_of(std::string_view name, int beneath) const;
  /// Calls `each` for the lines of the manifest that make sense.
  using EachLine = std::function<Status(const std::string& name, const std::string& generation)>;
  Status read_manifest(const EachLine& each) const;
  Status claim(const std::string& name);
  Status note(const std::string& name, const std::string& generation);
  Status list(const std::string& name, const std::string& generation);
  Status write_listed();
  Result<bool> remove(const std::string& name) const;
  bool holds(const Descriptor& folder, const std::string& file, BytesView octets) const;
  Status begin(const Descriptor& folder, const std::string& name);

  std::filesystem::path folder_;
  std::string manifest_;
  Descriptor root_;                       ///< locked
  std::optional<Descriptor> claims_;      ///< the manifest, to which a new name is appended before its file is made
  std::optional<Descriptor> renewed_;     ///< the manifest to come: what was put, and at last what else is left
  std::string listed_;                    ///< its lines that are not yet written
  TreeEntries files_;                     ///< of ours, those of former times too
  std::optional<Descriptor> unfinished_;  ///< the file whose parts are being written
  int written_ = 0;
};

}  // namespace capf
