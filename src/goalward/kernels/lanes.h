// Threads that work side by side, each on a core of its own.
#pragma once
#include <thread>
#include <vector>
#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

// Short-lived threads often start on the core that their maker runs on, and share it until the scheduler sees: half the
// speed. So each is sent to another of the cores that this process may use.
#ifdef __linux__
static inline std::vector<int> other_cores() {
    cpu_set_t mine;
    std::vector<int> cores;
    const int here = sched_getcpu();
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) return cores;
    for (int i = 1; i < CPU_SETSIZE; i++) {
        const int core = (here + i) % CPU_SETSIZE;
        if (CPU_ISSET(core, &mine) && core != here) cores.push_back(core);
    }
    return cores;
}

static inline void stay_on(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);  // where it fails, the scheduler decides
}
#endif

// job(0) to job(lanes - 1) at the same time, the first on this thread.
template <class Job>
static inline void side_by_side(int64_t lanes, Job job) {
    std::vector<std::thread> threads;
#ifdef __linux__
    const std::vector<int> cores = lanes > 1 ? other_cores() : std::vector<int>{};
#endif
    for (int64_t lane = 1; lane < lanes; lane++)
        threads.emplace_back([&, lane] {
#ifdef __linux__
            if (!cores.empty()) stay_on(cores[(lane - 1) % cores.size()]);
#endif
            job(lane);
        });
    job(0);
    for (std::thread& thread : threads) thread.join();
}
