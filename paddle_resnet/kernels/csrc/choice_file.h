// The choices of algorithms as text, a line each, and the file that keeps them:
//   ALGORITHM DIRECTION N C H W O KH KW STRIDE PAD DILATION GROUPS DTYPE THREADS # what was measured
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "algorithm_choice.h"

struct ChoiceKey {
  ConvShape shape;
  Direction direction;
  int threads;

  bool operator<(const ChoiceKey& other) const {
    return std::make_tuple(direction, threads, shape.key()) <
           std::make_tuple(other.direction, other.threads, other.shape.key());
  }
};

struct Choice {
  Algorithm algorithm;
  std::string measured;  // for people
};
using Choices = std::map<ChoiceKey, Choice>;

std::string TextOf(const Choices&);
// Adds the choices of a text to `choices`; a line that is none is passed over.
void AddFromText(const std::string& text, Choices* choices);

// The choices of this CPU, of all processes.
class ChoiceFile {
 public:
  void Open(const std::string& path, Choices* choices);

  // While it lives, no other process measures; empty after ten seconds of waiting.
  class Lock {
   public:
    explicit Lock(const std::string& path);
    ~Lock();
    Lock(const Lock&) = delete;

   private:
    int file_;
  };
  const std::string& path() const { return path_; }
  void Read(Choices*) const;
  // Replaces the whole file at once. Where it cannot be written, the next process measures again.
  void Write(const Choices&) const;

 private:
  std::string path_;
};
