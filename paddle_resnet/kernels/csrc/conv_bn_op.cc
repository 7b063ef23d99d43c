// The operators paddle_resnet_conv_bn and paddle_resnet_conv_bn_add(_smooth), as Paddle calls them:
// act(bn(conv(x))) and act(bn(conv(x)) + residual), their gradients and second derivatives. With
// `pool`, 2x2 max-pooling stands between the convolution and its BN.
//
// They are two operators because Paddle's optional inputs and their gradients differ between
// releases; and two with a residual because different tensors are kept for the gradient: of ReLU the
// output, which the next layer keeps anyway, of GELU and SiLU the residual. Activations are
// [N, H, W, C], float32 or bfloat16, all of one layer alike; everything else is float32.
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

// Whether Paddle records the current backward pass, for a further derivative.
bool (*is_recording)() = [] { return false; };

using paddle::Tensor;
using Tensors = std::vector<Tensor>;

Tensor Empty(const std::vector<int64_t>& shape) {
  return EmptyTensor(shape, paddle::DataType::FLOAT32);
}

template <typename DType>
Tensor EmptyActivation(const std::vector<int64_t>& shape) {
  constexpr bool half = std::is_same_v<DType, BFloat16>;
  return EmptyTensor(shape, half ? paddle::DataType::BFLOAT16 : paddle::DataType::FLOAT32);
}

Tensor EmptyBytes(const std::vector<int64_t>& shape) {
  return EmptyTensor(shape, paddle::DataType::UINT8);
}

ConvShape Shape(const Tensor& x, const Tensor& weight, int stride, int pad, int dilation,
                int groups) {
  const auto in = x.shape(), w = weight.shape();
  ConvShape s{in[0], in[3], in[1],  in[2], w[0],     w[2],   w[3],
              0,     0,     stride, pad,   dilation, groups, IsBFloat16(x)};
  return WithOutputSize(s);
}

// Returns the shape with the output's size after pooling, which BN normalizes.
ConvShape AfterPooling(ConvShape s, bool pool) {
  if (pool) s.oh /= 2, s.ow /= 2;
  return s;
}

template <typename DType>
Tensors Forward(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                const Tensor& running_mean, const Tensor& running_variance, const Tensor* residual,
                int stride, int pad, int dilation, int groups, float epsilon, float momentum,
                bool batch_statistics, Act act, bool pool, bool keep) {
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  const auto out = AfterPooling(s, pool);
  const std::vector<int64_t> shape = {out.n, out.oh, out.ow, out.o};
  const MatrixShape matrix{out.n * out.oh * out.ow, s.o};
  const int64_t channels = s.o;
  const float *gamma_data = gamma.data<float>(), *beta_data = beta.data<float>();
  const DType* residual_data = residual ? Data<DType>(*residual) : nullptr;
  Tensor y = EmptyActivation<DType>(shape);
  std::vector<float> scale(channels);
  if (!keep && !batch_statistics && !pool) {
    std::vector<float> shift(channels);
    for (int64_t i = 0; i < channels; ++i) {
      scale[i] = gamma_data[i] / std::sqrt(running_variance.data<float>()[i] + epsilon);
      shift[i] = beta_data[i] - running_mean.data<float>()[i] * scale[i];
    }
    Timer timer(Part::kForward, s);
    ConvInference(s, x.data(), weight.data<float>(),
                  {scale.data(), shift.data(), residual_data, act}, y.data());
    return {y, EmptyActivation<DType>({1}), Empty({1}), Empty({1}), EmptyBytes({1})};
  }

  if (batch_statistics) ForgetFolded(weight.data<float>());
  // If no backward pass can follow, the normalization overwrites the convolution's output.
  Tensor conv = keep ? EmptyActivation<DType>(shape) : y;
  Tensor argmax_indices = EmptyBytes(pool ? shape : std::vector<int64_t>{1});
  {
    Timer timer(Part::kForward, s);
    if (pool)
      ConvPoolForward(s, x.data(), weight.data<float>(), conv.data(),
                      argmax_indices.data<uint8_t>());
    else
      ConvForward(s, x.data(), weight.data<float>(), conv.data());
  }
  Timer timer(Part::kNormForward, out);
  Tensor mean = Empty({channels}), inverse = Empty({channels});
  float *mean_data = mean.data<float>(), *inverse_data = inverse.data<float>();
  std::vector<float> variance(channels);
  // Buffers without gradient: updated in place, as Paddle's own BN does.
  auto* running_mean_data = const_cast<float*>(running_mean.data<float>());
  auto* running_variance_data = const_cast<float*>(running_variance.data<float>());
  if (batch_statistics) {
    ChannelStatistics(matrix, Data<DType>(conv), mean_data, variance.data());
    for (int64_t i = 0; i < channels; ++i) {
      running_mean_data[i] = running_mean_data[i] * momentum + mean_data[i] * (1 - momentum);
      running_variance_data[i] = running_variance_data[i] * momentum + variance[i] * (1 - momentum);
    }
  } else {
    std::copy_n(running_mean_data, channels, mean_data);
    std::copy_n(running_variance_data, channels, variance.data());
  }
  for (int64_t i = 0; i < channels; ++i) {
    inverse_data[i] = 1 / std::sqrt(variance[i] + epsilon);
    scale[i] = gamma_data[i] * inverse_data[i];
  }
  Normalize(matrix, Data<DType>(conv), {mean_data, scale.data(), beta_data}, residual_data, act,
            Data<DType>(y));
  return {y, keep ? conv : EmptyActivation<DType>({1}), mean, inverse, argmax_indices};
}

// `conv` is the input of the normalization: the convolution's output, after pooling if there is
// any. `kept` is given only with a residual, as in batch_norm.h.
template <typename DType>
Tensors Backward(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                 const Tensor* kept, const Tensor& conv, const Tensor& mean, const Tensor& inverse,
                 const Tensor& argmax_indices, const Tensor& dy, int stride, int pad, int dilation,
                 int groups, bool batch_statistics, Act act, bool pool, bool need_x,
                 bool need_weight) {
  ++backward_passes;
  if (dy.dtype() != x.dtype())
    throw std::runtime_error("a gradient of another dtype than its activation");
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  const auto out = AfterPooling(s, pool);
  const MatrixShape matrix{out.n * out.oh * out.ow, s.o};
  const int64_t channels = s.o;
  Tensor dgamma = Empty({channels}), dbeta = Empty({channels});
  Tensor dresidual = kept ? EmptyActivation<DType>(kept->shape()) : Tensor();
  std::optional<Timer> timer(std::in_place, Part::kNormBackward, out);
  const DType *dy_data = Data<DType>(dy), *conv_data = Data<DType>(conv);
  float *dgamma_data = dgamma.data<float>(), *dbeta_data = dbeta.data<float>();
  std::vector<float> a(channels), b(channels), c(channels);
  for (int64_t i = 0; i < channels; ++i) a[i] = gamma.data<float>()[i] * inverse.data<float>()[i];
  const Norm norm{mean.data<float>(), a.data(), beta.data<float>()};
  Passing<DType> passing{act, kept ? Data<DType>(*kept) : nullptr};
  BackwardSums(matrix, dy_data, passing, conv_data, norm, kept ? Data<DType>(dresidual) : nullptr,
               dbeta_data, dgamma_data);

  // The gradient of batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167, section 3) as
  // a * g + b * (x - mean) + c. Running statistics are constants: only the first term is left.
  for (int64_t i = 0; i < channels; ++i) {
    const float inverse_i = inverse.data<float>()[i], sum_gx = dgamma_data[i];
    b[i] = batch_statistics ? -a[i] * inverse_i * inverse_i * sum_gx / matrix.rows : 0;
    c[i] = batch_statistics ? -a[i] * dbeta_data[i] / matrix.rows : 0;
    dgamma_data[i] = sum_gx * inverse_i;
  }
  // The residual's gradient has passed the activation function already.
  if (kept) dy_data = Data<DType>(dresidual), passing.act = Act::kNone;

  Tensor dx = EmptyActivation<DType>(need_x ? x.shape() : std::vector<int64_t>{1});
  Tensor dweight = Empty(need_weight ? weight.shape() : std::vector<int64_t>{1});
  if (need_x || need_weight) {
    static thread_local Scratch scratch;
    auto* dconv = static_cast<DType*>(scratch.Get(matrix.rows * channels * sizeof(DType)));
    BackwardInput(matrix, dy_data, passing, conv_data, norm, a.data(), b.data(), c.data(), dconv);
    timer.reset();
    const Pooled gradient = pool ? ConvOutputGradient(s, {dconv, argmax_indices.data<uint8_t>()})
                                 : Pooled{dconv, nullptr};
    if (need_weight) {
      Timer timer(Part::kWeights, s);
      ConvBackwardWeights(s, x.data(), gradient.values, dweight.data<float>(),
                          gradient.argmax_indices);
    }
    if (need_x) {
      Timer timer(Part::kData, s);
      ConvBackwardData(s, gradient.values, weight.data<float>(), dx.data(),
                       gradient.argmax_indices);
    }
  }
  Tensors gradients = {dx, dweight, dgamma, dbeta};
  if (kept) gradients.push_back(dresidual);
  return gradients;
}

// Returns the data of a gradient, or null where Paddle gives none.
template <typename DType>
const DType* Given(const Tensor& gradient) {
  return gradient.impl() && gradient.initialized() ? Data<DType>(gradient) : nullptr;
}

template <typename DType>
Tensors Second(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
               const Tensor* kept, const Tensor& conv, const Tensor& mean, const Tensor& inverse,
               const Tensor& argmax_indices, const Tensor& dy, const Tensor& ddx,
               const Tensor& ddweight, const Tensor& ddgamma, const Tensor& ddbeta,
               const Tensor* ddresidual, int stride, int pad, int dilation, int groups,
               bool batch_statistics, Act act, bool pool, bool need_x, bool need_weight) {
  RefuseThirdDerivative();
  const auto s = Shape(x, weight, stride, pad, dilation, groups);
  Tensor dx = EmptyActivation<DType>(need_x ? x.shape() : std::vector<int64_t>{1});
  Tensor dweight = Empty(weight.shape()), dgamma = Empty(gamma.shape());
  Tensor ddy = EmptyActivation<DType>(dy.shape());
  // Zeros, but for smooth activation functions.
  Tensor dbeta = ZerosLike(beta), dkept = kept ? ZerosLike(*kept) : Tensor();
  SecondDerivative<DType>{s,
                          batch_statistics,
                          pool,
                          act,
                          Data<DType>(x),
                          Data<DType>(conv),
                          kept ? Data<DType>(*kept) : nullptr,
                          Data<DType>(dy),
                          weight.data<float>(),
                          gamma.data<float>(),
                          beta.data<float>(),
                          mean.data<float>(),
                          inverse.data<float>(),
                          pool ? argmax_indices.data<uint8_t>() : nullptr,
                          need_x ? Given<DType>(ddx) : nullptr,
                          ddresidual ? Given<DType>(*ddresidual) : nullptr,
                          need_weight ? Given<float>(ddweight) : nullptr,
                          Given<float>(ddgamma),
                          Given<float>(ddbeta),
                          need_x ? Data<DType>(dx) : nullptr,
                          Data<DType>(ddy),
                          dweight.data<float>(),
                          dgamma.data<float>(),
                          dbeta.data<float>(),
                          kept ? Data<DType>(dkept) : nullptr}
      .Run();
  // Paddle expects a gradient for each input of the gradient operator, even if it is always zero.
  Tensors gradients = {dx, dweight, dgamma, dbeta};
  if (kept) gradients.push_back(dkept);
  for (const Tensor* constant : {&conv, &mean, &inverse, &argmax_indices})
    gradients.push_back(ZerosLike(*constant));
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

#define ATTRIBUTES                                                              \
  int stride, int pad, int dilation, int groups, float epsilon, float momentum, \
      bool batch_statistics, int act, bool pool, bool keep, bool need_x, bool need_weight
#define ATTRIBUTE_NAMES                                                          \
  {"stride: int",    "pad: int",        "dilation: int",          "groups: int", \
   "epsilon: float", "momentum: float", "batch_statistics: bool", "act: int",    \
   "pool: bool",     "keep: bool",      "need_x: bool",           "need_weight: bool"}

// Calls fn with a value of the element type of x: float or BFloat16.
template <typename Fn>
Tensors DispatchDType(const Tensor& matrix, Fn fn) {
  return Guarded([&] { return IsBFloat16(matrix) ? fn(BFloat16()) : fn(float()); });
}

Tensors ConvBN(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
               const Tensor& running_mean, const Tensor& running_variance, ATTRIBUTES) {
  return DispatchDType(x, [&](auto dtype) {
    return Forward<decltype(dtype)>(x, weight, gamma, beta, running_mean, running_variance, nullptr,
                                    stride, pad, dilation, groups, epsilon, momentum,
                                    batch_statistics, Act(act), pool, keep);
  });
}

Tensors ConvBNGrad(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                   const Tensor& conv, const Tensor& mean, const Tensor& inverse,
                   const Tensor& argmax_indices, const Tensor& dy, ATTRIBUTES) {
  return DispatchDType(x, [&](auto dtype) {
    return Backward<decltype(dtype)>(x, weight, gamma, beta, nullptr, conv, mean, inverse,
                                     argmax_indices, dy, stride, pad, dilation, groups,
                                     batch_statistics, Act(act), pool, need_x, need_weight);
  });
}

Tensors ConvBNAdd(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_variance,
                  const Tensor& residual, ATTRIBUTES) {
  return DispatchDType(x, [&](auto dtype) {
    return Forward<decltype(dtype)>(x, weight, gamma, beta, running_mean, running_variance,
                                    &residual, stride, pad, dilation, groups, epsilon, momentum,
                                    batch_statistics, Act(act), pool, keep);
  });
}

Tensors ConvBNAddGrad(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                      const Tensor& beta, const Tensor& kept, const Tensor& conv,
                      const Tensor& mean, const Tensor& inverse, const Tensor& argmax_indices,
                      const Tensor& dy, ATTRIBUTES) {
  return DispatchDType(x, [&](auto dtype) {
    return Backward<decltype(dtype)>(x, weight, gamma, beta, &kept, conv, mean, inverse,
                                     argmax_indices, dy, stride, pad, dilation, groups,
                                     batch_statistics, Act(act), pool, need_x, need_weight);
  });
}

Tensors ConvBNSecond(const Tensor& x, const Tensor& weight, const Tensor& gamma, const Tensor& beta,
                     const Tensor& conv, const Tensor& mean, const Tensor& inverse,
                     const Tensor& argmax_indices, const Tensor& dy, const Tensor& ddx,
                     const Tensor& ddweight, const Tensor& ddgamma, const Tensor& ddbeta,
                     ATTRIBUTES) {
  return DispatchDType(x, [&](auto dtype) {
    return Second<decltype(dtype)>(x, weight, gamma, beta, nullptr, conv, mean, inverse,
                                   argmax_indices, dy, ddx, ddweight, ddgamma, ddbeta, nullptr,
                                   stride, pad, dilation, groups, batch_statistics, Act(act), pool,
                                   need_x, need_weight);
  });
}

Tensors ConvBNAddSecond(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                        const Tensor& beta, const Tensor& kept, const Tensor& conv,
                        const Tensor& mean, const Tensor& inverse, const Tensor& argmax_indices,
                        const Tensor& dy, const Tensor& ddx, const Tensor& ddweight,
                        const Tensor& ddgamma, const Tensor& ddbeta, const Tensor& ddresidual,
                        ATTRIBUTES) {
  return DispatchDType(x, [&](auto dtype) {
    return Second<decltype(dtype)>(x, weight, gamma, beta, &kept, conv, mean, inverse,
                                   argmax_indices, dy, ddx, ddweight, ddgamma, ddbeta, &ddresidual,
                                   stride, pad, dilation, groups, batch_statistics, Act(act), pool,
                                   need_x, need_weight);
  });
}

PD_BUILD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Mean", "Variance"})
    .Outputs({"Y", "Conv", "SavedMean", "SavedInverse", "ArgmaxIndices"})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBN));

PD_BUILD_GRAD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Conv", "SavedMean", "SavedInverse", "ArgmaxIndices",
             paddle::Grad("Y")})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta")})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNGrad));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_conv_bn)
    .Inputs({"X", "Weight", "Gamma", "Beta", "Conv", "SavedMean", "SavedInverse", "ArgmaxIndices",
             paddle::Grad("Y"), paddle::Grad(paddle::Grad("X")),
             paddle::Grad(paddle::Grad("Weight")), paddle::Grad(paddle::Grad("Gamma")),
             paddle::Grad(paddle::Grad("Beta"))})
    .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),
              paddle::Grad("Beta"), paddle::Grad("Conv"), paddle::Grad("SavedMean"),
              paddle::Grad("SavedInverse"), paddle::Grad("ArgmaxIndices"),
              paddle::Grad(paddle::Grad("Y"))})
    .Attrs(ATTRIBUTE_NAMES)
    .SetKernelFn(PD_KERNEL(ConvBNSecond));

// With a residual. `kept` is what batch_norm.h calls so.
#define BUILD_ADD(name, kept)                                                                     \
  PD_BUILD_OP(name)                                                                               \
      .Inputs({"X", "Weight", "Gamma", "Beta", "Mean", "Variance", "Residual"})                   \
      .Outputs({"Y", "Conv", "SavedMean", "SavedInverse", "ArgmaxIndices"})                       \
      .Attrs(ATTRIBUTE_NAMES)                                                                     \
      .SetKernelFn(PD_KERNEL(ConvBNAdd));                                                         \
  PD_BUILD_GRAD_OP(name)                                                                          \
      .Inputs({"X", "Weight", "Gamma", "Beta", kept, "Conv", "SavedMean", "SavedInverse",         \
               "ArgmaxIndices", paddle::Grad("Y")})                                               \
      .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),                 \
                paddle::Grad("Beta"), paddle::Grad("Residual")})                                  \
      .Attrs(ATTRIBUTE_NAMES)                                                                     \
      .SetKernelFn(PD_KERNEL(ConvBNAddGrad));                                                     \
  PD_BUILD_DOUBLE_GRAD_OP(name)                                                                   \
      .Inputs({"X", "Weight", "Gamma", "Beta", kept, "Conv", "SavedMean", "SavedInverse",         \
               "ArgmaxIndices", paddle::Grad("Y"), paddle::Grad(paddle::Grad("X")),               \
               paddle::Grad(paddle::Grad("Weight")), paddle::Grad(paddle::Grad("Gamma")),         \
               paddle::Grad(paddle::Grad("Beta")), paddle::Grad(paddle::Grad("Residual"))})       \
      .Outputs({paddle::Grad("X"), paddle::Grad("Weight"), paddle::Grad("Gamma"),                 \
                paddle::Grad("Beta"), paddle::Grad(kept), paddle::Grad("Conv"),                   \
                paddle::Grad("SavedMean"), paddle::Grad("SavedInverse"),                          \
                paddle::Grad("ArgmaxIndices"), paddle::Grad(paddle::Grad("Y"))})                  \
      .Attrs(ATTRIBUTE_NAMES)                                                                     \
      .SetKernelFn(PD_KERNEL(ConvBNAddSecond));
BUILD_ADD(paddle_resnet_conv_bn_add, "Y")
BUILD_ADD(paddle_resnet_conv_bn_add_smooth, "Residual")

extern "C" void paddle_resnet_ask_recording(bool (*ask)()) { is_recording = ask; }

extern "C" int64_t paddle_resnet_backward_passes() { return backward_passes; }

extern "C" bool paddle_resnet_can_bfloat16() { return CanConvolveBFloat16(); }

extern "C" void paddle_resnet_release() {
  ReleaseConvolutions();
  ReleaseFreeBlocks();
}
