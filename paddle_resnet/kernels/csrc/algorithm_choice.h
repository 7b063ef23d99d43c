// Which algorithm computes a convolution: the fastest, by measurement.
//
// No rule of thumb is right on each CPU: with bfloat16 activations, for example, Winograd's float32
// arithmetic wins where bfloat16 units have twice float32's rate, and loses where they have eight
// times. So the candidates of each shape and direction are timed once, on the threads in use, and
// the choice is kept: in memory and in a file (choice_file.h). Since another algorithm gives other
// last bits, what a file holds is never timed again.
#pragma once

#include <functional>
#include <vector>

#include "conv.h"

// kInference: with BN, sum and activation function. kPooled: forward with 2x2 max-pooling.
enum class Direction { kForward, kInference, kPooled, kData, kWeights };
enum class Algorithm { kDirect, kWinograd, kGemm };

const char* NameOf(Direction);
const char* NameOf(Algorithm);

// Defined in conv.cc. The first one is the fallback where none is chosen.
std::vector<Algorithm> Candidates(const ConvShape&, Direction);

// Calls `run` with the algorithm for a convolution: forced, of the resumed run, or kept. If none is
// known, each candidate is run several times before, and the fastest is kept; a candidate that
// throws is none.
void RunChosen(const ConvShape&, Direction, const std::function<void(Algorithm)>& run);
// Returns the algorithm of RunChosen. Where none is known yet it is the last candidate.
Algorithm Chosen(const ConvShape&, Direction);

// Returns the seconds of `count` candidates, of the fastest call of several; infinity for one that
// throws. If all do, throws what the last one has thrown.
std::vector<double> TimeCandidates(int count, const std::function<void(int)>& run);
