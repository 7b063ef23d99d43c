// The operators as Paddle sees them: act(bn(conv(x)) + residual) and its gradient.
//
// Two operators, with and without residual, since Paddle's optional inputs and their gradients
// differ between releases. Maps are [N, H, W, C]; everything is float32.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "conv.h"
#include "loops.h"
#include "products.h"
#include "profile.h"
#include "winograd.h"
#include "paddle/extension.h"

namespace {

using paddle::Tensor;
using Tensors = std::vector<Tensor>;

// How often a gradient was computed; see kernels/unit.py, which asks whether one was in between.
int64_t backward_passes = 0;

Tensor Empty(const std::vector<int64_t>& shape) {
  return paddle::empty(shape, paddle::DataType::FLOAT32, paddle::CPUPlace());
}

ConvShape Shape(const Tensor& x, const Tensor& weight, int stride, int pad, int dilation,
                int groups) {
  const auto in = x.shape(), w = weight.shape();
  ConvShape s{in[0], in[3], in[1], in[2], w[0], w[2], w[3], 0, 0, stride, pad, dilation, groups};
  s.oh = (s.h + 2 * pad - dilation * (s.kh - 1) - 1) / stride + 1;
  s.ow = (s.w + 2 * pad - dilation * (s.kw - 1) - 1) / stride + 1;
  return s;
}

Tensors Forward(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                const Tensor& running_mean, const Tensor& running_variance, const Tensor* residual,
                int stride, int pad, int dilation, int groups, float epsilon, float momentum,
                bool batch_statistics, bool relu, bool keep) {
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  const Rows map{s.n * s.oh * s.ow, s.o};
  const int64_t channels = s.o;
  const float *gamma_of = gamma.data<float>(), *beta_of = beta.data<float>();
  const float* residual_of = residual ? residual->data<float>() : nullptr;
  Tensor y = Empty({s.n, s.oh, s.ow, s.o});
  std::vector<float> scale(channels);
  if (!keep && !batch_statistics && !BetterByWinograd(s) && !BetterAsProduct(s)) {
    std::vector<float> shift(channels);
    for (int64_t i = 0; i < channels; ++i) {
      scale[i] = gamma_of[i] / std::sqrt(running_variance.data<float>()[i] + epsilon);
      shift[i] = beta_of[i] - running_mean.data<float>()[i] * scale[i];
    }
    Timer timer(Part::kForward, s);
    ConvInference(s, x.data<float>(), weight.data<float>(),
                  {scale.data(), shift.data(), residual_of, relu}, y.data<float>());
    return {y, Empty({1}), Empty({1}), Empty({1})};
  }

  // Without a backward pass to come, the normalisation overwrites the convolution's output.
  Tensor conv = keep ? Empty({s.n, s.oh, s.ow, s.o}) : y;
  {
    Timer timer(Part::kForward, s);
    ConvForward(s, x.data<float>(), weight.data<float>(), conv.data<float>());
  }
  Timer timer(Part::kNormForward, s);
  Tensor mean = Empty({channels}), inverse = Empty({channels});
  float *mean_of = mean.data<float>(), *inverse_of = inverse.data<float>();
  std::vector<float> variance(channels);
  // Buffers, not inputs in the sense of autograd: written in place, as Paddle's own BN does.
  auto* running_mean_of = const_cast<float*>(running_mean.data<float>());
  auto* running_variance_of = const_cast<float*>(running_variance.data<float>());
  if (batch_statistics) {
    ChannelStatistics(map, conv.data<float>(), mean_of, variance.data());
    for (int64_t i = 0; i < channels; ++i) {
      running_mean_of[i] = running_mean_of[i] * momentum + mean_of[i] * (1 - momentum);
      running_variance_of[i] = running_variance_of[i] * momentum + variance[i] * (1 - momentum);
    }
  } else {
    std::copy_n(running_mean_of, channels, mean_of);
    std::copy_n(running_variance_of, channels, variance.data());
  }
  for (int64_t i = 0; i < channels; ++i) {
    inverse_of[i] = 1 / std::sqrt(variance[i] + epsilon);
    scale[i] = gamma_of[i] * inverse_of[i];
  }
  Normalize(map, conv.data<float>(), {mean_of, scale.data(), beta_of}, residual_of, relu,
            y.data<float>());
  return {y, keep ? conv : Empty({1}), mean, inverse};
}

// `y` is asked for only with a residual: without one the ReLU's mask follows from `conv`.
Tensors Backward(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                 const Tensor* y, const Tensor& conv, const Tensor& mean, const Tensor& inverse,
                 const Tensor& dy, int stride, int pad, int dilation, int groups,
                 bool batch_statistics, bool relu, bool need_x, bool need_weight) {
  ++backward_passes;
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  const Rows map{s.n * s.oh * s.ow, s.o};
  const int64_t channels = s.o;
  Tensor dgamma = Empty({channels}), dbeta = Empty({channels});
  Tensor dresidual = y ? Empty(y->shape()) : Tensor();
  std::optional<Timer> timer(std::in_place, Part::kNormBackward, s);
  const float *dy_of = dy.data<float>(), *conv_of = conv.data<float>();
  float *dgamma_of = dgamma.data<float>(), *dbeta_of = dbeta.data<float>();
  std::vector<float> a(channels), b(channels), c(channels);
  for (int64_t i = 0; i < channels; ++i) a[i] = gamma.data<float>()[i] * inverse.data<float>()[i];
  const Norm norm{mean.data<float>(), a.data(), beta.data<float>()};
  Mask mask{relu, y ? y->data<float>() : nullptr};
  BackwardSums(map, dy_of, mask, conv_of, norm, y ? dresidual.data<float>() : nullptr, dbeta_of,
               dgamma_of);

  // The gradient of normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3), ordered
  // by what it multiplies. Given statistics are constants: only the first term is left.
  for (int64_t i = 0; i < channels; ++i) {
    const float inverse_i = inverse.data<float>()[i], sum_gx = dgamma_of[i];
    b[i] = batch_statistics ? -a[i] * inverse_i * inverse_i * sum_gx / map.rows : 0;
    c[i] = batch_statistics ? -a[i] * dbeta_of[i] / map.rows : 0;
    dgamma_of[i] = sum_gx * inverse_i;
  }
  // With a residual its gradient is the masked one already.
  if (y) dy_of = dresidual.data<float>(), mask.relu = false;

  Tensor dx = Empty(need_x ? x.shape() : std::vector<int64_t>{1});
  Tensor dweight = Empty(need_weight ? weight.shape() : std::vector<int64_t>{1});
  if (need_x || need_weight) {
    static thread_local Scratch scratch;
    float* dconv = scratch.Get(map.rows * channels * sizeof(float));
    BackwardInput(map, dy_of, mask, conv_of, norm, a.data(), b.data(), c.data(), dconv);
    timer.reset();
    if (need_weight) {
      Timer timer(Part::kWeights, s);
      ConvBackwardWeights(s, x.data<float>(), dconv, dweight.data<float>());
    }
    if (need_x) {
      Timer timer(Part::kData, s);
      ConvBackwardData(s, dconv, weight.data<float>(), dx.data<float>());
    }
  }
  Tensors gradients = {dx, dweight, dgamma, dbeta};
  if (y) gradients.push_back(dresidual);
  return gradients;
}

}  // namespace

#define ATTRIBUTES                                                                      \
  int stride, int pad, int dilation, int groups, float epsilon, float momentum,         \
      bool batch_statistics, bool relu, bool keep, bool need_x, bool need_weight
#define ATTRIBUTE_NAMES                                                                  \
  {                                                                                      \
    "stride: int", "pad: int", "dilation: int", "groups: int", "epsilon: float",         \
        "momentum: float", "batch_statistics: bool", "relu: bool", "keep: bool",         \
        "need_x: bool", "need_weight: bool"                                              \
  }

// Paddle ends the process at any exception but its own.
template <typename Work>
Tensors Guarded(Work work) {
  try {
    return work();
  } catch (const std::exception& error) {
    PD_THROW("paddle_resnet's CPU operator: ", error.what());
  }
}

Tensors ConvBN(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
               const Tensor& running_mean, const Tensor& running_variance, ATTRIBUTES) {
  return Guarded([&] {
    return Forward(x, weight, gamma, beta, running_mean, running_variance, nullptr, stride, pad,
                 dilation, groups, epsilon, momentum, batch_statistics, relu, keep);
  });
}

Tensors ConvBNGrad(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                   const Tensor& conv, const Tensor& mean, const Tensor& inverse, const Tensor& dy,
                   ATTRIBUTES) {
  return Guarded([&] {
    return Backward(x, weight, gamma, beta, nullptr, conv, mean, inverse, dy, stride, pad,
                    dilation, groups, batch_statistics, relu, need_x, need_weight);
  });
}

Tensors ConvBNAdd(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_variance,
                  const Tensor& residual, ATTRIBUTES) {
  return Guarded([&] {
    return Forward(x, weight, gamma, beta, running_mean, running_variance, &residual, stride, pad,
                 dilation, groups, epsilon, momentum, batch_statistics, relu, keep);
  });
}

Tensors ConvBNAddGrad(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                      const Tensor& beta, const Tensor& y, const Tensor& conv, const Tensor& mean,
                      const Tensor& inverse, const Tensor& dy, ATTRIBUTES) {
  return Guarded([&] {
    return Backward(x, weight, gamma, beta, &y, conv, mean, inverse, dy, stride, pad, dilation,
                    groups, batch_statistics, relu, need_x, need_weight);
  });
}

PD_BUILD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Mean", "Variance"})
    .Outputs({"Y", "Conv", "SavedMean", "SavedInverse"})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBN));

PD_BUILD_GRAD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Conv", "SavedMean", "SavedInverse",
             paddle::Grad("Y")})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta")})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNGrad));

PD_BUILD_OP(paddle_resnet_conv_bn_add)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Mean", "Variance", "Residual"})
    .Outputs({"Y", "Conv", "SavedMean", "SavedInverse"})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNAdd));

PD_BUILD_GRAD_OP(paddle_resnet_conv_bn_add)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Y", "Conv", "SavedMean", "SavedInverse",
             paddle::Grad("Y")})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta"), paddle::Grad("Residual")})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNAddGrad));

extern "C" int64_t paddle_resnet_backward_passes() { return backward_passes; }
