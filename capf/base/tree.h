#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/descriptor.h"
#include "capf/base/error.h"

namespace capf {

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
  bool has(const std::string& name, const std::string& generation) const;
  /// Leaves the file as it is, if it is one of ours.
  void keep(const std::string& name) {
    if (const auto found = files_.find(name); found != files_.end()) found->second.wanted = true;
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
  struct Entry {
    std::string generation;
    bool wanted = false;  ///< it was put or kept
  };

  Tree(std::filesystem::path folder, std::string manifest, Descriptor root)
      : folder_(std::move(folder)), manifest_(std::move(manifest)), root_(std::move(root)) {}
  tl::unexpected<Error> failed(std::string_view name) const;
  Result<Descriptor> folder_of(std::string_view name) const { return folder_of(name, root_.get()); }
  Result<Descriptor> folder_of(std::string_view name, int beneath) const;
  Status read_manifest();
  Status claim(const std::string& name);
  Status write_manifest();
  void note(const std::string& name, const std::string& generation) { files_[name] = {generation, true}; }
  bool holds(const Descriptor& folder, const std::string& file, BytesView octets) const;
  Status begin(const Descriptor& folder, const std::string& name);

  std::filesystem::path folder_;
  std::string manifest_;
  Descriptor root_;                       ///< locked
  std::optional<Descriptor> claims_;      ///< the manifest, to which a new name is appended before its file is made
  std::map<std::string, Entry> files_;    ///< of ours, those of former times too
  std::optional<Descriptor> unfinished_;  ///< the file whose parts are being written
  int written_ = 0;
};

}  // namespace capf
