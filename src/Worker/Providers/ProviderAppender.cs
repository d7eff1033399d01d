using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>Puts one execution provider onto session options. Throws in ONNX Runtime's words when it cannot be had.</summary>
internal static class ProviderAppender
{
    /// <summary>The options that the settings hold for a provider.</summary>
    public static IReadOnlyDictionary<string, string> Of(string provider, ProviderSettings settings) => provider switch
    {
        "cuda" => settings.Cuda,
        "tensorrt" => settings.TensorRt,
        "webgpu" => settings.WebGpu,
        _ => new Dictionary<string, string>(),
    };

    public static void Append(SessionOptions options, string provider, IReadOnlyDictionary<string, string> with)
    {
        switch (provider)
        {
            // Always there, and always last.
            case "cpu": break;
            case "webgpu":
                options.AppendExecutionProvider("WebGPU", with.ToDictionary());
                break;
            case "cuda":
                using (var cuda = new OrtCUDAProviderOptions())
                {
                    // UpdateOptions loads the provider: its exception names the library that is missing.
                    cuda.UpdateOptions(WithDevice(with));
                    options.AppendExecutionProvider_CUDA(cuda);
                }

                break;
            case "tensorrt":
                using (var tensorRt = new OrtTensorRTProviderOptions())
                {
                    tensorRt.UpdateOptions(WithDevice(with));
                    options.AppendExecutionProvider_Tensorrt(tensorRt);
                }

                break;
            default: throw new ArgumentOutOfRangeException(nameof(provider), provider, "no execution provider of this worker");
        }
    }

    private static Dictionary<string, string> WithDevice(IReadOnlyDictionary<string, string> with)
    {
        var all = with.ToDictionary();
        all.TryAdd("device_id", "0");
        return all;
    }
}
