// A fixed pool of worker threads fed from a bounded priority queue.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

enum class Priority { Low = 0, Normal = 1, Urgent = 2 };

class QueueClosed : public std::runtime_error {
public:
    QueueClosed() : std::runtime_error("job queue is closed") {}
};

class JobQueue {
public:
    JobQueue(unsigned workers, std::size_t capacity) : capacity_(capacity) {
        if (workers == 0 || capacity == 0) throw std::invalid_argument("empty job queue");
        workers_.reserve(workers);
        for (unsigned i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
    }

    ~JobQueue() { close(); }

    JobQueue(const JobQueue&) = delete;
    JobQueue& operator=(const JobQueue&) = delete;

    // Blocks while the queue is full. Exceptions thrown by the job surface
    // through the returned future.
    template <typename F>
    auto submit(F&& job, Priority priority = Priority::Normal) {
        using Result = std::invoke_result_t<std::decay_t<F>&>;
        // std::function needs a copyable target, packaged_task is move-only.
        auto task = std::make_shared<std::packaged_task<Result()>>(std::forward<F>(job));
        std::future<Result> result = task->get_future();
        {
            std::unique_lock<std::mutex> lock(mutex_);
            not_full_.wait(lock, [this] { return closed_ || pending_.size() < capacity_; });
            if (closed_) throw QueueClosed();
            pending_.push(Job{priority, next_ticket_++, [task] { (*task)(); }});
        }
        not_empty_.notify_one();
        return result;
    }

    // Waits until nothing is queued or running; false if the time is up first.
    template <typename Rep, typename Period>
    bool drain_for(std::chrono::duration<Rep, Period> patience) {
        std::unique_lock<std::mutex> lock(mutex_);
        return idle_.wait_for(lock, patience, [this] { return pending_.empty() && running_ == 0; });
    }

    // Finishes everything already accepted, then joins the workers.
    void close() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        not_empty_.notify_all();
        not_full_.notify_all();
        for (std::thread& worker : workers_)
            if (worker.joinable()) worker.join();
    }

    std::size_t backlog() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return pending_.size();
    }

private:
    struct Job {
        Priority priority;
        std::uint64_t ticket;
        std::function<void()> run;

        // priority_queue keeps the largest on top: urgent first, then oldest.
        bool operator<(const Job& other) const {
            if (priority != other.priority) return priority < other.priority;
            return ticket > other.ticket;
        }
    };

    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            not_empty_.wait(lock, [this] { return closed_ || !pending_.empty(); });
            if (pending_.empty()) return;
            std::function<void()> run = pending_.top().run;
            pending_.pop();
            ++running_;
            lock.unlock();

            not_full_.notify_one();
            run();
            run = nullptr;  // release captured state before reporting idle

            lock.lock();
            --running_;
            if (pending_.empty() && running_ == 0) idle_.notify_all();
        }
    }

    const std::size_t capacity_;
    mutable std::mutex mutex_;
    std::condition_variable not_empty_, not_full_, idle_;
    std::priority_queue<Job> pending_;
    std::uint64_t next_ticket_ = 0;
    std::size_t running_ = 0;
    bool closed_ = false;
    std::vector<std::thread> workers_;
};

int main() {
    JobQueue queue(2, 16);
    std::vector<std::future<std::string>> thumbnails;
    for (int page = 1; page <= 6; ++page) {
        const Priority priority = page == 1 ? Priority::Urgent : Priority::Low;
        thumbnails.push_back(queue.submit(
            [page]() -> std::string {
                if (page == 4) throw std::runtime_error("page 4 is corrupt");
                std::this_thread::sleep_for(std::chrono::milliseconds(5 * page));
                return "page-" + std::to_string(page) + ".png";
            },
            priority));
    }
    if (!queue.drain_for(std::chrono::seconds(5)))
        std::cerr << "still busy, backlog " << queue.backlog() << '\n';
    for (auto& thumbnail : thumbnails) {
        try {
            std::cout << thumbnail.get() << '\n';
        } catch (const std::exception& error) {
            std::cout << "failed: " << error.what() << '\n';
        }
    }
}
