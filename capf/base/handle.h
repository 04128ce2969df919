#pragma once

namespace capf {

/// The deleter of a std::unique_ptr to a C library's object that `kFree` frees.
template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

}  // namespace capf
