// Bump allocator for per-frame and per-request data.
//
// Memory is handed out from large blocks and reclaimed all at once, either
// completely or back to a checkpoint taken earlier.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mem {

class Arena {
public:
    struct Checkpoint {
        std::size_t block;
        std::size_t used;
    };

    explicit Arena(std::size_t block_size = 64 * 1024) : block_size_(block_size) {
        assert(block_size > 0);
    }

    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    Arena(Arena&&) noexcept = default;
    Arena& operator=(Arena&&) noexcept = default;

    void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
        assert(alignment != 0 && (alignment & (alignment - 1)) == 0);
        for (; active_ < blocks_.size(); ++active_) {
            if (void* p = blocks_[active_].take(size, alignment)) return p;
            // Blocks past the active one are leftovers of a rewind: they are empty.
            if (active_ + 1 < blocks_.size()) blocks_[active_ + 1].used = 0;
        }
        // Oversized requests get a block of their own, with room for alignment.
        if (size > SIZE_MAX - alignment) throw std::bad_alloc();
        const std::size_t capacity = std::max(block_size_, size + alignment);
        blocks_.emplace_back(capacity);
        active_ = blocks_.size() - 1;
        void* p = blocks_.back().take(size, alignment);
        assert(p != nullptr);
        return p;
    }

    template <typename T, typename... Args>
    T* make(Args&&... args) {
        static_assert(std::is_trivially_destructible_v<T>, "the arena never runs destructors");
        return ::new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
    }

    template <typename T>
    T* make_array(std::size_t count) {
        static_assert(std::is_trivially_destructible_v<T>, "the arena never runs destructors");
        if (count > SIZE_MAX / sizeof(T)) throw std::bad_array_new_length();
        T* first = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
        std::uninitialized_value_construct_n(first, count);
        return first;
    }

    std::string_view copy(std::string_view text) {
        char* target = static_cast<char*>(allocate(text.size() + 1, 1));
        if (!text.empty()) std::memcpy(target, text.data(), text.size());
        target[text.size()] = '\0';
        return {target, text.size()};
    }

    Checkpoint mark() const {
        return {active_, active_ < blocks_.size() ? blocks_[active_].used : 0};
    }

    void rewind(Checkpoint point) {
        assert(point.block <= active_);
        active_ = point.block;
        if (active_ < blocks_.size()) blocks_[active_].used = point.used;
    }

    void reset() { rewind({0, 0}); }

    std::size_t bytes_reserved() const {
        std::size_t total = 0;
        for (const Block& block : blocks_) total += block.capacity;
        return total;
    }

private:
    struct Block {
        explicit Block(std::size_t size) : data(new std::byte[size]), capacity(size) {}

        void* take(std::size_t size, std::size_t alignment) {
            const auto base = reinterpret_cast<std::uintptr_t>(data.get());
            const std::uintptr_t aligned = (base + used + alignment - 1) & ~(alignment - 1);
            const std::size_t offset = aligned - base;
            if (offset > capacity || size > capacity - offset) return nullptr;
            used = offset + size;
            return data.get() + offset;
        }

        std::unique_ptr<std::byte[]> data;
        std::size_t capacity;
        std::size_t used = 0;
    };

    std::size_t block_size_;
    std::vector<Block> blocks_;
    std::size_t active_ = 0;
};

// Rewinds the arena when the enclosing scope ends.
class ScratchScope {
public:
    explicit ScratchScope(Arena& arena) : arena_(arena), start_(arena.mark()) {}
    ~ScratchScope() { arena_.rewind(start_); }
    ScratchScope(const ScratchScope&) = delete;
    ScratchScope& operator=(const ScratchScope&) = delete;

private:
    Arena& arena_;
    Arena::Checkpoint start_;
};

// Keeps one copy of each distinct string; equal strings share an address.
class SymbolTable {
public:
    explicit SymbolTable(Arena& storage) : storage_(storage) {}

    std::string_view intern(std::string_view text) {
        if (const auto found = known_.find(text); found != known_.end()) return *found;
        return *known_.insert(storage_.copy(text)).first;
    }

    std::size_t size() const { return known_.size(); }

private:
    Arena& storage_;
    std::unordered_set<std::string_view> known_;
};

}  // namespace mem
