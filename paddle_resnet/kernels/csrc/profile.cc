#include "profile.h"

#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <utility>

bool profiling = false;
thread_local const char* last_algorithm = "-";

namespace {

struct Row {
  ConvShape shape;
  const char* algorithm = "-";
  int64_t calls = 0;
  double seconds = 0;
};
using Key = std::pair<Part, decltype(ConvShape().key())>;

auto& rows = *new std::map<Key, Row>;
auto& mutex = *new std::mutex;

}  // namespace

void AddToProfile(Part part, const ConvShape& shape, double seconds) {
  std::lock_guard<std::mutex> lock(mutex);
  Row& row = rows.try_emplace({part, shape.key()}, Row{shape}).first->second;
  row.calls += 1;
  row.seconds += seconds;
  if (part <= Part::kWeights) row.algorithm = last_algorithm;
}

// Starts profiling with no rows, or stops it.
extern "C" void paddle_resnet_profile(int on) {
  std::lock_guard<std::mutex> lock(mutex);
  if (on) rows.clear();
  profiling = on;
}

// Returns a line per part and shape: "part calls seconds algorithm n c h w o kh kw oh ow stride pad
// dilation groups bfloat16". The text is valid until the next call.
extern "C" const char* paddle_resnet_profile_rows() {
  static auto& text = *new std::string;
  std::lock_guard<std::mutex> lock(mutex);
  text.clear();
  for (const auto& [key, row] : rows) {
    const ConvShape& s = row.shape;
    char line[256];
    std::snprintf(line, sizeof(line),
                  "%d %ld %.9f %s %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %d\n",
                  static_cast<int>(key.first), long(row.calls), row.seconds, row.algorithm, long(s.n), long(s.c),
                  long(s.h), long(s.w), long(s.o), long(s.kh), long(s.kw), long(s.oh), long(s.ow),
                  long(s.stride), long(s.pad), long(s.dilation), long(s.groups), int(s.bfloat16));
    text += line;
  }
  return text.c_str();
}
