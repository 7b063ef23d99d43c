#include "algorithm_choice.h"

#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <string>

#include "choice_file.h"
#include "profile.h"

namespace {

// Calls of each candidate after the first, which makes primitives; at most, and in any case.
constexpr int kMostRounds = 12, kFewestRounds = 2;
// Seconds after which no more rounds begin.
constexpr double kEnough = 0.03;
// A candidate that takes this much longer than the fastest is not called again.
constexpr double kHopeless = 1.5;

struct State {
  std::mutex mutex;  // of all below; not held while candidates run
  ChoiceFile file;
  Choices kept;    // what the file holds, or would if it could be written
  Choices of_run;  // of a run that was resumed: they come first
  Choices used;    // since the notes began
  std::map<ChoiceKey, Algorithm> resolved;  // all answers so far, until a setting changes
  std::optional<Algorithm> forced;

  // One thread measures at a time; a candidate may hold further convolutions.
  std::recursive_mutex measuring;
  int depth = 0;
};

// Never destroyed: a thread may compute at the very end of the process.
State& state() {
  static auto& one = *new State;
  return one;
}

// Returns the CPU time of this thread. While other threads of a convolution work it spins, so this is
// its time on the clock without what other processes took from it.
double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

bool Has(const std::vector<Algorithm>& candidates, Algorithm wanted) {
  return std::find(candidates.begin(), candidates.end(), wanted) != candidates.end();
}

// Returns what is settled without measuring. `state().mutex` is held.
std::optional<Algorithm> Settled(const ChoiceKey& key, const std::vector<Algorithm>& candidates) {
  const State& all = state();
  if (all.forced) return Has(candidates, *all.forced) ? *all.forced : candidates.front();
  for (const Choices* choices : {&all.of_run, &all.kept}) {
    const auto found = choices->find(key);
    if (found != choices->end() && Has(candidates, found->second.algorithm))
      return found->second.algorithm;
  }
  return std::nullopt;
}

// `state().mutex` is held.
Algorithm Resolve(const ChoiceKey& key, Algorithm algorithm) {
  state().resolved[key] = algorithm;
  state().used[key] = {algorithm, ""};
  return algorithm;
}

Choice Measure(const std::vector<Algorithm>& candidates,
               const std::function<void(Algorithm)>& run) {
  const auto seconds =
      TimeCandidates(int(candidates.size()), [&](int i) { run(candidates[size_t(i)]); });
  Choice choice{candidates[std::min_element(seconds.begin(), seconds.end()) - seconds.begin()], ""};
  for (size_t i = 0; i < candidates.size(); ++i) {
    char text[64];
    std::snprintf(text, sizeof text, "%s %s %.3f ms", i ? "," : "", NameOf(candidates[i]),
                  1e3 * seconds[i]);
    choice.measured += text;
  }
  return choice;
}

// Returns the algorithm; calls `run` to measure alone.
Algorithm Choose(const ConvShape& shape, Direction direction,
                 const std::function<void(Algorithm)>& run) {
  State& all = state();
  const ChoiceKey key{shape, direction, omp_get_max_threads()};
  {
    std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.resolved.find(key);
    if (found != all.resolved.end()) return found->second;
  }
  const auto candidates = Candidates(shape, direction);
  if (candidates.size() == 1) return candidates.front();
  std::lock_guard<std::recursive_mutex> alone(all.measuring);
  {
    std::lock_guard<std::mutex> lock(all.mutex);
    if (const auto known = Settled(key, candidates)) return Resolve(key, *known);
  }
  struct Depth {
    int& depth;
    explicit Depth(int& of) : depth(++of) {}
    ~Depth() { --depth; }
  } depth(all.depth);
  std::optional<ChoiceFile::Lock> only_process;
  if (all.depth == 1) {
    only_process.emplace(all.file.path());
    std::lock_guard<std::mutex> lock(all.mutex);
    all.file.Read(&all.kept);  // another process may have measured by now
    if (const auto known = Settled(key, candidates)) return Resolve(key, *known);
  }
  const Choice choice = Measure(candidates, run);
  std::lock_guard<std::mutex> lock(all.mutex);
  all.kept[key] = choice;
  all.file.Write(all.kept);
  return Resolve(key, choice.algorithm);
}

}  // namespace

const char* NameOf(Direction direction) {
  constexpr const char* names[] = {"forward", "inference", "pooled", "data", "weights"};
  return names[int(direction)];
}

const char* NameOf(Algorithm algorithm) {
  constexpr const char* names[] = {"direct", "winograd", "gemm"};
  return names[int(algorithm)];
}

std::vector<double> TimeCandidates(int count, const std::function<void(int)>& run) {
  constexpr double never = std::numeric_limits<double>::infinity();
  std::vector<double> best(size_t(count), never);
  std::vector<bool> works(size_t(count), true);
  std::exception_ptr error;
  for (int i = 0; i < count; ++i) try {
      run(i);
    } catch (...) {
      works[size_t(i)] = false;
      error = std::current_exception();
    }
  if (std::find(works.begin(), works.end(), true) == works.end()) std::rethrow_exception(error);
  const double begin = ThreadSeconds();
  // In turns, so that a burst of other work on the machine hits all alike.
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kFewestRounds && ThreadSeconds() - begin > kEnough) break;
    const double fastest = *std::min_element(best.begin(), best.end());
    for (size_t i = 0; i < best.size(); ++i) {
      if (!works[i] || best[i] > kHopeless * fastest) continue;
      const double started = ThreadSeconds();
      run(int(i));
      best[i] = std::min(best[i], ThreadSeconds() - started);
    }
  }
  return best;
}

void RunChosen(const ConvShape& shape, Direction direction,
               const std::function<void(Algorithm)>& run) {
  const Algorithm algorithm = Choose(shape, direction, run);
  last_algorithm = NameOf(algorithm);  // before: the convolution inside a pooled one overwrites it
  run(algorithm);
}

Algorithm Chosen(const ConvShape& shape, Direction direction) {
  State& all = state();
  const ChoiceKey key{shape, direction, omp_get_max_threads()};
  std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.resolved.find(key);
  if (found != all.resolved.end()) return found->second;
  const auto candidates = Candidates(shape, direction);
  return Settled(key, candidates).value_or(candidates.back());
}

// Keeps choices in a file from now on, beside those that it holds.
extern "C" void paddle_resnet_choice_file(const char* path) {
  State& all = state();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.file.Open(path, &all.kept);
  all.resolved.clear();
}

// Takes one algorithm wherever it is a candidate, and the first candidate elsewhere; "auto" ends it.
// Returns whether there is an algorithm of this name.
extern "C" bool paddle_resnet_force_algorithm(const char* name) {
  State& all = state();
  std::lock_guard<std::mutex> lock(all.mutex);
  const std::string wanted = name;
  std::optional<Algorithm> forced;
  for (const auto each : {Algorithm::kDirect, Algorithm::kWinograd, Algorithm::kGemm})
    if (wanted == NameOf(each)) forced = each;
  if (!forced && wanted != "auto") return false;
  all.forced = forced;
  all.resolved.clear();
  return true;
}

// Forgets the choices of a resumed run, and those used so far.
extern "C" void paddle_resnet_begin_notes() {
  State& all = state();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.of_run.clear();
  all.used.clear();
  all.resolved.clear();
}

// Returns the choices that were used since the notes began. Valid until the next call.
extern "C" const char* paddle_resnet_notes() {
  static auto& text = *new std::string;
  State& all = state();
  std::lock_guard<std::mutex> lock(all.mutex);
  text = TextOf(all.used);
  return text.c_str();
}

// Takes the choices of a resumed run from its notes. Returns for how many of them another algorithm
// is used nevertheless, because it is forced, and in `kept_otherwise` how many of them this
// machine's file has otherwise.
extern "C" int paddle_resnet_take_notes(const char* notes, int* kept_otherwise) {
  State& all = state();
  std::lock_guard<std::mutex> lock(all.mutex);
  AddFromText(notes, &all.of_run);
  all.resolved.clear();
  int others = *kept_otherwise = 0;
  for (const auto& [key, choice] : all.of_run) {
    const auto candidates = Candidates(key.shape, key.direction);
    others += Settled(key, candidates).value_or(candidates.front()) != choice.algorithm;
    const auto kept = all.kept.find(key);
    *kept_otherwise += kept != all.kept.end() && kept->second.algorithm != choice.algorithm;
    all.used[key] = {choice.algorithm, ""};
  }
  return others;
}

// Returns the fastest of `count` candidates, which `run` calls by their index; for tests.
extern "C" int paddle_resnet_fastest(int count, void (*run)(int)) {
  const auto seconds = TimeCandidates(count, run);
  return int(std::min_element(seconds.begin(), seconds.end()) - seconds.begin());
}
