#include "capf/domain/hardening.h"

namespace capf {
namespace {

/// One element for one word of a setting.
struct Row {
  std::string_view setting;
  std::string_view word;
  HardeningFlag flag;
};

// 0 is *on* in the first group, *off* in the second one.
constexpr Row kRows[] = {
    {"pc_port", "on", {"pcPort", "0"}},
    {"pc_port", "off", {"pcPort", "1"}},
    {"gratuitous_arp", "accept", {"garp", "0"}},
    {"gratuitous_arp", "ignore", {"garp", "1"}},
    {"span_to_pc_port", "on", {"spanToPCPort", "0"}},
    {"span_to_pc_port", "off", {"spanToPCPort", "1"}},
    {"web_access", "on", {"webAccess", "0"}},
    {"web_access", "off", {"webAccess", "1"}},
    {"ssh_access", "on", {"sshAccess", "0"}},
    {"ssh_access", "off", {"sshAccess", "1"}},
    // Sources disagree: by the factory settings of a real file 0 is on, as with its neighbours.
    {"pc_voice_vlan_access", "on", {"voiceVlanAccess", "0"}},
    {"pc_voice_vlan_access", "off", {"voiceVlanAccess", "1"}},

    {"settings_access", "off", {"settingsAccess", "0"}},
    {"settings_access", "on", {"settingsAccess", "1"}},
    {"settings_access", "restricted", {"settingsAccess", "2"}},
    {"web_https_only", "off", {"webProtocol", "0"}},
    {"web_https_only", "on", {"webProtocol", "1"}},
    {"cdp_lldp_pc_port", "off", {"enableCdpPcPort", "0"}},
    {"cdp_lldp_pc_port", "off", {"enableLldpPcPort", "0"}},
    {"cdp_lldp_pc_port", "on", {"enableCdpPcPort", "1"}},
    {"cdp_lldp_pc_port", "on", {"enableLldpPcPort", "1"}},
    {"dot1x", "user", {"eapAuthentication", "0"}},
    {"dot1x", "off", {"eapAuthentication", "1"}},
    {"dot1x", "on", {"eapAuthentication", "2"}},
    {"peer_firmware", "off", {"peerFirmwareSharing", "0"}},
    {"peer_firmware", "on", {"peerFirmwareSharing", "1"}},
    {"bluetooth", "off", {"bluetooth", "0"}},
    {"bluetooth", "on", {"bluetooth", "1"}},
    {"usb", "off", {"usb1", "0"}},
    {"usb", "off", {"usb2", "0"}},
    {"usb", "on", {"usb1", "1"}},
    {"usb", "on", {"usb2", "1"}},
};

}  // namespace

std::vector<HardeningFlag> hardening_flags(const EffectiveSettings& settings) {
  std::vector<HardeningFlag> flags;
  for (const Row& row : kRows) {
    const Effective* effective = settings.find(row.setting);
    if (effective != nullptr && effective->value == row.word) flags.push_back(row.flag);
  }
  return flags;
}

}  // namespace capf
