#include "tests/fuzz/der.h"

#include <algorithm>
#include <random>

using namespace capf;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

constexpr std::size_t kDeepest = 24;
constexpr std::size_t kMostNodes = 2000;

struct Node {
  std::uint8_t tag = 0;  ///< 0: `value` is not DER
  Bytes value;           ///< of a primitive one; of a BIT STRING with DER in it, its first octet
  std::vector<Node> children;
  bool constructed = false;
};

std::vector<Node> read_nodes(BytesView data, std::size_t depth);

Node read_node(const ca::DerElement& element, std::size_t depth) {
  Node node{element.tag, {}, {}, (element.tag & 0x20) != 0};
  BytesView content = element.content;
  // extensions and public keys are DER within octets
  const std::size_t skipped = element.tag == ca::kBitString && !content.empty() && content[0] == 0 ? 1 : 0;
  const bool wraps = (element.tag == ca::kBitString || element.tag == ca::kOctetString) &&
                     content.size() > skipped + 1 && ca::is_one_der_element(content.subspan(skipped));
  if (depth < kDeepest && (node.constructed || wraps)) {
    node.constructed = true;
    node.value.assign(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(skipped));
    node.children = read_nodes(content.subspan(skipped), depth + 1);
  } else {
    node.constructed = false;
    node.value.assign(content.begin(), content.end());
  }
  return node;
}

std::vector<Node> read_nodes(BytesView data, std::size_t depth) {
  std::vector<Node> nodes;
  while (!data.empty()) {
    const auto element = ca::DerReader(data).next();
    if (!element) {
      nodes.push_back({0, Bytes(data.begin(), data.end()), {}, false});
      break;
    }
    nodes.push_back(read_node(*element, depth));
    data = data.subspan(element->whole.size());
  }
  return nodes;
}

void write(const std::vector<Node>& nodes, Bytes& out) {
  for (const Node& node : nodes) {
    Bytes content = node.value;
    write(node.children, content);
    if (node.tag != 0) {
      out.push_back(node.tag);
      capf::fuzz::append_length(out, content.size());
    }
    out.insert(out.end(), content.begin(), content.end());
  }
}

class Mutation {
 public:
  Mutation(BytesView data, unsigned seed) : random_(seed), options_(data.begin(), data.begin() + options_of(data)) {
    nodes_ = read_nodes(data.subspan(options_.size()), 0);
  }

  void change() {
    for (std::size_t i = 1 + below(3); i > 0; --i) change_once();
  }
  void take_from(Mutation& other) {
    std::vector<Place> places = other.places();
    if (places.empty()) return;
    put(places[below(places.size())].node());
  }
  /// The fuzzer's own way, where the options are.
  void change_options() {
    options_.resize(capf::fuzz::kOptions);
    options_[below(options_.size())] = static_cast<std::uint8_t>(random_());
  }
  std::size_t write_to(std::uint8_t* data, std::size_t max_size) const {
    Bytes out = options_;
    out.resize(capf::fuzz::kOptions);
    write(nodes_, out);
    if (out.size() > max_size) return 0;
    std::copy(out.begin(), out.end(), data);
    return out.size();
  }
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

 private:
  struct Place {
    std::vector<Node>* siblings;
    std::size_t at;
    Node& node() const { return (*siblings)[at]; }
  };

  static std::ptrdiff_t options_of(BytesView data) {
    return static_cast<std::ptrdiff_t>(std::min(data.size(), capf::fuzz::kOptions));
  }
  std::vector<Place> places() {
    std::vector<Place> found;
    collect(nodes_, found);
    return found;
  }
  static void collect(std::vector<Node>& siblings, std::vector<Place>& found) {
    for (std::size_t i = 0; i < siblings.size() && found.size() < kMostNodes; ++i) {
      found.push_back({&siblings, i});
      collect(siblings[i].children, found);
    }
  }

  void put(Node node) {
    const std::vector<Place> all = places();
    if (all.empty()) return nodes_.push_back(std::move(node));
    const Place place = all[below(all.size())];
    if (below(2) == 0) {
      place.node() = std::move(node);
    } else {
      place.siblings->insert(place.siblings->begin() + static_cast<std::ptrdiff_t>(place.at), std::move(node));
    }
  }

  void change_once() {
    constexpr std::array<std::uint8_t, 14> kTags{0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C,
                                                 0x13, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31};
    const std::vector<Place> all = places();
    if (all.empty()) return nodes_.push_back({ca::kSequence, {}, {}, true});
    const Place place = all[below(all.size())];
    const auto at = place.siblings->begin() + static_cast<std::ptrdiff_t>(place.at);
    switch (below(12)) {
      case 0: place.siblings->erase(at); return;
      case 1: place.siblings->insert(at, Node(place.node())); return;
      case 2: std::swap(place.node(), (*place.siblings)[below(place.siblings->size())]); return;
      case 3: return put(Node(place.node()));
      case 4:
        place.node().tag = below(3) == 0 ? static_cast<std::uint8_t>(random_()) : kTags[below(kTags.size())];
        return;
      case 5: {  // a number with its highest bit set, a sign octet, all ones, zero
        constexpr std::array<std::uint8_t, 6> kOctets{0x00, 0x01, 0x7F, 0x80, 0xFF, 0x03};
        Bytes& value = place.node().value;
        if (value.empty() || below(3) == 0) {
          value.insert(value.begin(), kOctets[below(kOctets.size())]);
        } else {
          value[below(3) == 0 ? below(value.size()) : 0] = kOctets[below(kOctets.size())];
        }
        return;
      }
      case 6: {
        Bytes& value = place.node().value;
        if (place.node().constructed || value.empty()) return change_value(place.node());
        value.resize(below(2) == 0 ? value.size() - 1 : value.size() + below(40), 0x41);
        return;
      }
      default: return change_value(place.node());
    }
  }

  void change_value(Node& node) {
    if (node.constructed) {
      if (node.children.empty()) return;
      return change_value(node.children[below(node.children.size())]);
    }
    const std::size_t size = node.value.size();
    node.value.resize(size + 32);
    node.value.resize(LLVMFuzzerMutate(node.value.data(), size, node.value.size()));
  }

  std::minstd_rand random_;
  Bytes options_;
  std::vector<Node> nodes_;
};

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  Mutation mutation({data, size}, seed);
  const std::size_t choice = mutation.below(16);
  if (choice == 0) return LLVMFuzzerMutate(data, size, max_size);
  if (choice < 3) {
    mutation.change_options();
  } else {
    mutation.change();
  }
  const std::size_t written = mutation.write_to(data, max_size);
  return written == 0 ? size : written;
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* first, std::size_t first_size,
                                                 const std::uint8_t* second, std::size_t second_size, std::uint8_t* out,
                                                 std::size_t max_size, unsigned seed) {
  Mutation mutation({first, first_size}, seed);
  Mutation other({second, second_size}, seed);
  mutation.take_from(other);
  return mutation.write_to(out, max_size);
}
