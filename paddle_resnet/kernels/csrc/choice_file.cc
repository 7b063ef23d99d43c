#include "choice_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace {

constexpr Direction kDirections[] = {Direction::kForward, Direction::kInference, Direction::kPooled,
                                     Direction::kData, Direction::kWeights};
constexpr Algorithm kAlgorithms[] = {Algorithm::kDirect, Algorithm::kWinograd, Algorithm::kGemm};

template <typename Named, size_t count>
bool Find(const Named (&all)[count], const std::string& name, Named* found) {
  for (const Named each : all)
    if (name == NameOf(each)) return *found = each, true;
  return false;
}

bool Parse(const std::string& line, ChoiceKey* key, Choice* choice) {
  std::istringstream words(line.substr(0, line.find('#')));
  std::string algorithm, direction, dtype, excess;
  ConvShape s{};
  words >> algorithm >> direction >> s.n >> s.c >> s.h >> s.w >> s.o >> s.kh >> s.kw >> s.stride >>
      s.pad >> s.dilation >> s.groups >> dtype >> key->threads;
  if (!words || words >> excess) return false;
  for (const int64_t positive : {s.n, s.c, s.h, s.w, s.o, s.kh, s.kw, s.stride, s.dilation,
                                 s.groups, int64_t{key->threads}})
    if (positive < 1) return false;
  s.bfloat16 = dtype == "bfloat16";
  if (!s.bfloat16 && dtype != "float32") return false;
  key->shape = WithOutputSize(s);
  const size_t comment = line.find('#');
  if (comment != std::string::npos) choice->measured = line.substr(comment + 1);
  return Find(kDirections, direction, &key->direction) &&
         Find(kAlgorithms, algorithm, &choice->algorithm);
}

}  // namespace

std::string TextOf(const Choices& choices) {
  std::ostringstream text;
  for (const auto& [key, choice] : choices) {
    const ConvShape& s = key.shape;
    text << NameOf(choice.algorithm) << ' ' << NameOf(key.direction);
    for (const int64_t each :
         {s.n, s.c, s.h, s.w, s.o, s.kh, s.kw, s.stride, s.pad, s.dilation, s.groups})
      text << ' ' << each;
    text << (s.bfloat16 ? " bfloat16 " : " float32 ") << key.threads;
    if (!choice.measured.empty()) text << " #" << choice.measured;
    text << '\n';
  }
  return text.str();
}

void AddFromText(const std::string& text, Choices* choices) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    ChoiceKey key;
    Choice choice;
    if (Parse(line, &key, &choice)) (*choices)[key] = choice;
  }
}

void ChoiceFile::Open(const std::string& path, Choices* choices) {
  path_ = path;
  choices->clear();
  Read(choices);
}

void ChoiceFile::Read(Choices* choices) const {
  std::ifstream file(path_);
  std::ostringstream text;
  if (file && text << file.rdbuf()) AddFromText(text.str(), choices);
}

void ChoiceFile::Write(const Choices& choices) const {
  if (path_.empty()) return;
  const std::string text = TextOf(choices), temporary = path_ + "." + std::to_string(getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "w");
  if (!file) return;
  bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  written &= std::fflush(file) == 0 && fsync(fileno(file)) == 0;
  written &= std::fclose(file) == 0;
  if (!written || std::rename(temporary.c_str(), path_.c_str()) != 0)
    std::remove(temporary.c_str());
}

ChoiceFile::Lock::Lock(const std::string& path) : file_(-1) {
  if (path.empty()) return;
  file_ = open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  // Not for ever: the process that has it may be stopped.
  for (int tries = 0; file_ >= 0 && flock(file_, LOCK_EX | LOCK_NB) != 0 && tries < 500; ++tries)
    usleep(20000);
}

ChoiceFile::Lock::~Lock() {
  if (file_ >= 0) close(file_);
}
