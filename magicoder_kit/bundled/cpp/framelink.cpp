// Receiver side of a byte-stuffed serial link.
//
//   FLAG | address | sequence | payload ... | crc hi | crc lo | FLAG
//
// Inside a frame FLAG and ESC are sent as ESC followed by the byte xor 0x20.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <utility>
#include <vector>

namespace framelink {

constexpr std::uint8_t kFlag = 0x7E;
constexpr std::uint8_t kEscape = 0x7D;
constexpr std::uint8_t kFlip = 0x20;
constexpr std::size_t kMaxFrame = 512;
constexpr std::size_t kOverhead = 4;

enum class State { Hunting, Idle, Receiving, Escaped, Overrun };

std::ostream& operator<<(std::ostream& out, State state) {
    switch (state) {
        case State::Hunting: return out << "hunting";
        case State::Idle: return out << "idle";
        case State::Receiving: return out << "receiving";
        case State::Escaped: return out << "escaped";
        case State::Overrun: return out << "overrun";
    }
    return out << "?";
}

constexpr std::array<std::uint16_t, 256> make_crc_table() {
    std::array<std::uint16_t, 256> table{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        std::uint16_t crc = static_cast<std::uint16_t>(byte << 8);
        for (int bit = 0; bit < 8; ++bit)
            crc = static_cast<std::uint16_t>((crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1);
        table[byte] = crc;
    }
    return table;
}

constexpr auto kCrcTable = make_crc_table();

template <typename Iterator>
std::uint16_t crc16(Iterator first, Iterator last) {
    std::uint16_t crc = 0xFFFF;
    for (; first != last; ++first)
        crc = static_cast<std::uint16_t>((crc << 8) ^ kCrcTable[(crc >> 8) ^ *first]);
    return crc;
}

struct Frame {
    std::uint8_t address;
    std::uint8_t sequence;
    std::vector<std::uint8_t> payload;
};

struct Counters {
    unsigned accepted = 0;
    unsigned bad_crc = 0;
    unsigned runts = 0;
    unsigned aborted = 0;
    unsigned overruns = 0;
    unsigned gaps = 0;
};

class Receiver {
public:
    using Handler = std::function<void(const Frame&)>;

    explicit Receiver(Handler handler) : handler_(std::move(handler)) { buffer_.reserve(kMaxFrame); }

    void feed(const std::uint8_t* data, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) state_ = next(data[i]);
    }

    // The line went quiet in the middle of a frame.
    void timeout() {
        if (state_ == State::Receiving || state_ == State::Escaped) ++counters_.aborted;
        buffer_.clear();
        state_ = State::Hunting;
    }

    State state() const { return state_; }
    const Counters& counters() const { return counters_; }

private:
    State next(std::uint8_t byte) {
        switch (state_) {
            case State::Hunting:
            case State::Overrun:
                return byte == kFlag ? restart() : state_;
            case State::Idle:
                if (byte == kFlag) return State::Idle;  // back-to-back flags
                return byte == kEscape ? State::Escaped : store(byte);
            case State::Receiving:
                if (byte == kFlag) {
                    finish();
                    return restart();
                }
                return byte == kEscape ? State::Escaped : store(byte);
            case State::Escaped:
                if (byte == kFlag) {  // ESC FLAG is the sender's abort sequence
                    ++counters_.aborted;
                    return restart();
                }
                return store(byte ^ kFlip);
        }
        return State::Hunting;
    }

    State restart() {
        buffer_.clear();
        return State::Idle;
    }

    State store(std::uint8_t byte) {
        if (buffer_.size() == kMaxFrame) {
            ++counters_.overruns;
            return State::Overrun;
        }
        buffer_.push_back(byte);
        return State::Receiving;
    }

    void finish() {
        if (buffer_.size() < kOverhead) {
            ++counters_.runts;
            return;
        }
        const auto body_end = buffer_.end() - 2;
        const auto sent = static_cast<std::uint16_t>((body_end[0] << 8) | body_end[1]);
        if (crc16(buffer_.begin(), body_end) != sent) {
            ++counters_.bad_crc;
            return;
        }
        const Frame frame{buffer_[0], buffer_[1], {buffer_.begin() + 2, body_end}};
        if (counters_.accepted > 0 && frame.sequence != expected_) ++counters_.gaps;
        expected_ = static_cast<std::uint8_t>(frame.sequence + 1);
        ++counters_.accepted;
        handler_(frame);
    }

    Handler handler_;
    State state_ = State::Hunting;
    std::vector<std::uint8_t> buffer_;
    std::uint8_t expected_ = 0;
    Counters counters_;
};

std::vector<std::uint8_t> encode(const Frame& frame) {
    std::vector<std::uint8_t> body{frame.address, frame.sequence};
    body.insert(body.end(), frame.payload.begin(), frame.payload.end());
    const std::uint16_t crc = crc16(body.begin(), body.end());
    body.push_back(static_cast<std::uint8_t>(crc >> 8));
    body.push_back(static_cast<std::uint8_t>(crc & 0xFF));

    std::vector<std::uint8_t> wire{kFlag};
    for (const std::uint8_t byte : body) {
        if (byte == kFlag || byte == kEscape) {
            wire.push_back(kEscape);
            wire.push_back(byte ^ kFlip);
        } else {
            wire.push_back(byte);
        }
    }
    wire.push_back(kFlag);
    return wire;
}

}  // namespace framelink
