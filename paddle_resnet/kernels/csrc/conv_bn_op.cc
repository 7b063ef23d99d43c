// The operators as Paddle sees them: act(bn(conv(x)) + residual) and its gradient; with `pool`
// act(bn(maxpool(conv(x))) + residual), of 2x2 pixels.
//
// Two operators, with and without residual, since Paddle's optional inputs and their gradients
// differ between releases. Maps are [N, H, W, C], float32 or bfloat16, all of a unit alike;
// everything else is float32.
#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "backward_counter.h"
#include "batch_norm.h"
#include "caching_allocator.h"
#include "conv.h"
#include "conv_pool.h"
#include "profile.h"
#include "scratch.h"
#include "second_derivative.h"
#include "tensors.h"

int64_t backward_passes = 0;

namespace {

// Whether Paddle records the backward pass under way, for a further derivative.
bool (*is_recording)() = [] { return false; };

using paddle::Tensor;
using Tensors = std::vector<Tensor>;

Tensor Empty(const std::vector<int64_t>& shape) {
  return EmptyTensor(shape, paddle::DataType::FLOAT32);
}

template <typename Number>
Tensor EmptyMap(const std::vector<int64_t>& shape) {
  constexpr bool half = std::is_same_v<Number, BFloat16>;
  return EmptyTensor(shape, half ? paddle::DataType::BFLOAT16 : paddle::DataType::FLOAT32);
}

Tensor EmptyBytes(const std::vector<int64_t>& shape) {
  return EmptyTensor(shape, paddle::DataType::UINT8);
}

ConvShape Shape(const Tensor& x, const Tensor& weight, int stride, int pad, int dilation,
                int groups) {
  const auto in = x.shape(), w = weight.shape();
  ConvShape s{in[0], in[3], in[1], in[2], w[0], w[2], w[3], 0, 0, stride, pad, dilation, groups,
              IsBFloat16(x)};
  s.oh = (s.h + 2 * pad - dilation * (s.kh - 1) - 1) / stride + 1;
  s.ow = (s.w + 2 * pad - dilation * (s.kw - 1) - 1) / stride + 1;
  return s;
}

// The shape with the output's sides as BN sees them.
ConvShape AfterPooling(ConvShape s, bool pool) {
  if (pool) s.oh /= 2, s.ow /= 2;
  return s;
}

template <typename Number>
Tensors Forward(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                const Tensor& running_mean, const Tensor& running_variance, const Tensor* residual,
                int stride, int pad, int dilation, int groups, float epsilon, float momentum,
                bool batch_statistics, bool relu, bool pool, bool keep) {
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  const auto out = AfterPooling(s, pool);
  const std::vector<int64_t> shape = {out.n, out.oh, out.ow, out.o};
  const Rows map{out.n * out.oh * out.ow, s.o};
  const int64_t channels = s.o;
  const float *gamma_of = gamma.data<float>(), *beta_of = beta.data<float>();
  const Number* residual_of = residual ? In<Number>(*residual) : nullptr;
  Tensor y = EmptyMap<Number>(shape);
  std::vector<float> scale(channels);
  if (!keep && !batch_statistics && !pool && InferenceIsOnePrimitive(s)) {
    std::vector<float> shift(channels);
    for (int64_t i = 0; i < channels; ++i) {
      scale[i] = gamma_of[i] / std::sqrt(running_variance.data<float>()[i] + epsilon);
      shift[i] = beta_of[i] - running_mean.data<float>()[i] * scale[i];
    }
    Timer timer(Part::kForward, s);
    ConvInference(s, x.data(), weight.data<float>(),
                  {scale.data(), shift.data(), residual_of, relu}, y.data());
    return {y, EmptyMap<Number>({1}), Empty({1}), Empty({1}), EmptyBytes({1})};
  }

  // Without a backward pass to come, the normalisation overwrites the convolution's output.
  Tensor conv = keep ? EmptyMap<Number>(shape) : y;
  Tensor winners = EmptyBytes(pool ? shape : std::vector<int64_t>{1});
  {
    Timer timer(Part::kForward, s);
    if (pool)
      ConvPoolForward(s, x.data(), weight.data<float>(), conv.data(), winners.data<uint8_t>());
    else
      ConvForward(s, x.data(), weight.data<float>(), conv.data());
  }
  Timer timer(Part::kNormForward, out);
  Tensor mean = Empty({channels}), inverse = Empty({channels});
  float *mean_of = mean.data<float>(), *inverse_of = inverse.data<float>();
  std::vector<float> variance(channels);
  // Buffers, not inputs in the sense of autograd: written in place, as Paddle's own BN does.
  auto* running_mean_of = const_cast<float*>(running_mean.data<float>());
  auto* running_variance_of = const_cast<float*>(running_variance.data<float>());
  if (batch_statistics) {
    ChannelStatistics(map, In<Number>(conv), mean_of, variance.data());
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
  Normalize(map, In<Number>(conv), {mean_of, scale.data(), beta_of}, residual_of, relu,
            In<Number>(y));
  return {y, keep ? conv : EmptyMap<Number>({1}), mean, inverse, winners};
}

// `conv` is what was normalised: the convolution's output, pooled where it was.
// `y` is asked for only with a residual: without one the ReLU's mask follows from `conv`.
template <typename Number>
Tensors Backward(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                 const Tensor* y, const Tensor& conv, const Tensor& mean, const Tensor& inverse,
                 const Tensor& winners, const Tensor& dy, int stride, int pad, int dilation,
                 int groups, bool batch_statistics, bool relu, bool pool, bool need_x,
                 bool need_weight) {
  ++backward_passes;
  if (dy.dtype() != x.dtype()) throw std::runtime_error("a gradient of another dtype than its map");
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  const auto out = AfterPooling(s, pool);
  const Rows map{out.n * out.oh * out.ow, s.o};
  const int64_t channels = s.o;
  Tensor dgamma = Empty({channels}), dbeta = Empty({channels});
  Tensor dresidual = y ? EmptyMap<Number>(y->shape()) : Tensor();
  std::optional<Timer> timer(std::in_place, Part::kNormBackward, out);
  const Number *dy_of = In<Number>(dy), *conv_of = In<Number>(conv);
  float *dgamma_of = dgamma.data<float>(), *dbeta_of = dbeta.data<float>();
  std::vector<float> a(channels), b(channels), c(channels);
  for (int64_t i = 0; i < channels; ++i) a[i] = gamma.data<float>()[i] * inverse.data<float>()[i];
  const Norm norm{mean.data<float>(), a.data(), beta.data<float>()};
  Mask<Number> mask{relu, y ? In<Number>(*y) : nullptr};
  BackwardSums(map, dy_of, mask, conv_of, norm, y ? In<Number>(dresidual) : nullptr, dbeta_of,
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
  if (y) dy_of = In<Number>(dresidual), mask.relu = false;

  Tensor dx = EmptyMap<Number>(need_x ? x.shape() : std::vector<int64_t>{1});
  Tensor dweight = Empty(need_weight ? weight.shape() : std::vector<int64_t>{1});
  if (need_x || need_weight) {
    static thread_local Scratch scratch;
    auto* dconv = static_cast<Number*>(scratch.Get(map.rows * channels * sizeof(Number)));
    BackwardInput(map, dy_of, mask, conv_of, norm, a.data(), b.data(), c.data(), dconv);
    timer.reset();
    const Pooled gradient = pool ? OfConvolution(s, {dconv, winners.data<uint8_t>()})
                                 : Pooled{dconv, nullptr};
    if (need_weight) {
      Timer timer(Part::kWeights, s);
      ConvBackwardWeights(s, x.data(), gradient.map, dweight.data<float>(), gradient.winners);
    }
    if (need_x) {
      Timer timer(Part::kData, s);
      ConvBackwardData(s, gradient.map, weight.data<float>(), dx.data(), gradient.winners);
    }
  }
  Tensors gradients = {dx, dweight, dgamma, dbeta};
  if (y) gradients.push_back(dresidual);
  return gradients;
}

// What is behind a gradient, or null where nobody asked for it.
template <typename Number>
const Number* Given(const Tensor& gradient) {
  return gradient.impl() && gradient.initialized() ? In<Number>(gradient) : nullptr;
}

template <typename Number>
Tensors Second(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
               const Tensor* y, const Tensor& conv, const Tensor& mean, const Tensor& inverse,
               const Tensor& winners, const Tensor& dy, const Tensor& ddx, const Tensor& ddweight,
               const Tensor& ddgamma, const Tensor& ddbeta, const Tensor* ddresidual, int stride,
               int pad, int dilation, int groups, bool batch_statistics, bool relu, bool pool,
               bool need_x, bool need_weight) {
  RefuseThirdDerivative();
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  Tensor dx = EmptyMap<Number>(need_x ? x.shape() : std::vector<int64_t>{1});
  Tensor dweight = Empty(weight.shape()), dgamma = Empty(gamma.shape());
  Tensor ddy = EmptyMap<Number>(dy.shape());
  SecondDerivative<Number>{
      s, batch_statistics, relu, pool, In<Number>(x), In<Number>(conv),
      y ? In<Number>(*y) : nullptr, In<Number>(dy), weight.data<float>(), gamma.data<float>(),
      beta.data<float>(), mean.data<float>(), inverse.data<float>(),
      pool ? winners.data<uint8_t>() : nullptr,
      need_x ? Given<Number>(ddx) : nullptr, ddresidual ? Given<Number>(*ddresidual) : nullptr,
      need_weight ? Given<float>(ddweight) : nullptr, Given<float>(ddgamma), Given<float>(ddbeta),
      need_x ? In<Number>(dx) : nullptr, In<Number>(ddy), dweight.data<float>(),
      dgamma.data<float>()}
      .Run();
  // Paddle waits for a gradient of whatever it could be asked for, also where there is none.
  Tensors gradients = {dx, dweight, dgamma};
  for (const Tensor* constant : {&beta, y, &conv, &mean, &inverse, &winners})
    if (constant) gradients.push_back(ZerosLike(*constant));
  gradients.push_back(ddy);
  return gradients;
}

}  // namespace

void RefuseThirdDerivative() {
  if (is_recording())
    throw std::runtime_error(
        "there is no third derivative, neither here nor of Paddle's own batch norm: leave "
        "create_graph out where the second one is computed");
}

#define ATTRIBUTES                                                                      \
  int stride, int pad, int dilation, int groups, float epsilon, float momentum,         \
      bool batch_statistics, bool relu, bool pool, bool keep, bool need_x, bool need_weight
#define ATTRIBUTE_NAMES                                                                  \
  {                                                                                      \
    "stride: int", "pad: int", "dilation: int", "groups: int", "epsilon: float",         \
        "momentum: float", "batch_statistics: bool", "relu: bool", "pool: bool",         \
        "keep: bool", "need_x: bool", "need_weight: bool"                                \
  }

// Calls work with a number of the kind that `map` holds, be it float or BFloat16.
template <typename Work>
Tensors ForNumbers(const Tensor& map, Work work) {
  return Guarded([&] { return IsBFloat16(map) ? work(BFloat16()) : work(float()); });
}

Tensors ConvBN(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
               const Tensor& running_mean, const Tensor& running_variance, ATTRIBUTES) {
  return ForNumbers(x, [&](auto number) {
    return Forward<decltype(number)>(x, weight, gamma, beta, running_mean, running_variance,
                                     nullptr, stride, pad, dilation, groups, epsilon, momentum,
                                     batch_statistics, relu, pool, keep);
  });
}

Tensors ConvBNGrad(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                   const Tensor& conv, const Tensor& mean, const Tensor& inverse,
                   const Tensor& winners, const Tensor& dy, ATTRIBUTES) {
  return ForNumbers(x, [&](auto number) {
    return Backward<decltype(number)>(x, weight, gamma, beta, nullptr, conv, mean, inverse, winners,
                                      dy, stride, pad, dilation, groups, batch_statistics, relu,
                                      pool, need_x, need_weight);
  });
}

Tensors ConvBNAdd(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_variance,
                  const Tensor& residual, ATTRIBUTES) {
  return ForNumbers(x, [&](auto number) {
    return Forward<decltype(number)>(x, weight, gamma, beta, running_mean, running_variance,
                                     &residual, stride, pad, dilation, groups, epsilon, momentum,
                                     batch_statistics, relu, pool, keep);
  });
}

Tensors ConvBNAddGrad(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                      const Tensor& beta, const Tensor& y, const Tensor& conv, const Tensor& mean,
                      const Tensor& inverse, const Tensor& winners, const Tensor& dy,
                      ATTRIBUTES) {
  return ForNumbers(x, [&](auto number) {
    return Backward<decltype(number)>(x, weight, gamma, beta, &y, conv, mean, inverse, winners, dy,
                                      stride, pad, dilation, groups, batch_statistics, relu, pool,
                                      need_x, need_weight);
  });
}

Tensors ConvBNSecond(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                     const Tensor& beta, const Tensor& conv, const Tensor& mean,
                     const Tensor& inverse, const Tensor& winners, const Tensor& dy,
                     const Tensor& ddx, const Tensor& ddweight, const Tensor& ddgamma,
                     const Tensor& ddbeta, ATTRIBUTES) {
  return ForNumbers(x, [&](auto number) {
    return Second<decltype(number)>(x, weight, gamma, beta, nullptr, conv, mean, inverse, winners,
                                    dy, ddx, ddweight, ddgamma, ddbeta, nullptr, stride, pad,
                                    dilation, groups, batch_statistics, relu, pool, need_x,
                                    need_weight);
  });
}

Tensors ConvBNAddSecond(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                        const Tensor& beta, const Tensor& y, const Tensor& conv,
                        const Tensor& mean, const Tensor& inverse, const Tensor& winners,
                        const Tensor& dy, const Tensor& ddx, const Tensor& ddweight,
                        const Tensor& ddgamma, const Tensor& ddbeta, const Tensor& ddresidual,
                        ATTRIBUTES) {
  return ForNumbers(x, [&](auto number) {
    return Second<decltype(number)>(x, weight, gamma, beta, &y, conv, mean, inverse, winners, dy,
                                    ddx, ddweight, ddgamma, ddbeta, &ddresidual, stride, pad,
                                    dilation, groups, batch_statistics, relu, pool, need_x,
                                    need_weight);
  });
}

PD_BUILD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Mean", "Variance"})
    .Outputs({"Y", "Conv", "SavedMean", "SavedInverse", "Winners"})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBN));

PD_BUILD_GRAD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Conv", "SavedMean", "SavedInverse", "Winners",
             paddle::Grad("Y")})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta")})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNGrad));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Conv", "SavedMean", "SavedInverse", "Winners",
             paddle::Grad("Y"), paddle::Grad(paddle::Grad("X")),
             paddle::Grad(paddle::Grad("Weight")), paddle::Grad(paddle::Grad("Gamma")),
             paddle::Grad(paddle::Grad("Beta"))})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta"), paddle::Grad("Conv"), paddle::Grad("SavedMean"),
              paddle::Grad("SavedInverse"), paddle::Grad("Winners"),
              paddle::Grad(paddle::Grad("Y"))})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNSecond));

PD_BUILD_OP(paddle_resnet_conv_bn_add)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Mean", "Variance", "Residual"})
    .Outputs({"Y", "Conv", "SavedMean", "SavedInverse", "Winners"})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNAdd));

PD_BUILD_GRAD_OP(paddle_resnet_conv_bn_add)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Y", "Conv", "SavedMean", "SavedInverse", "Winners",
             paddle::Grad("Y")})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta"), paddle::Grad("Residual")})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNAddGrad));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_conv_bn_add)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Y", "Conv", "SavedMean", "SavedInverse", "Winners",
             paddle::Grad("Y"), paddle::Grad(paddle::Grad("X")),
             paddle::Grad(paddle::Grad("Weight")), paddle::Grad(paddle::Grad("Gamma")),
             paddle::Grad(paddle::Grad("Beta")),
             paddle::Grad(paddle::Grad("Residual"))})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta"), paddle::Grad("Y"), paddle::Grad("Conv"),
              paddle::Grad("SavedMean"), paddle::Grad("SavedInverse"), paddle::Grad("Winners"),
              paddle::Grad(paddle::Grad("Y"))})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNAddSecond));

extern "C" void paddle_resnet_ask_recording(bool (*ask)()) { is_recording = ask; }

extern "C" int64_t paddle_resnet_backward_passes() { return backward_passes; }

extern "C" bool paddle_resnet_can_bfloat16() { return CanConvolveBFloat16(); }

extern "C" void paddle_resnet_release() {
  ReleaseConvolutions();
  ReleaseBlocks();
}
