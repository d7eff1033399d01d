using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>Adds an execution provider to session options.</summary>
internal static class ProviderAppender
{
    /// <summary>Returns the configured options of a provider.</summary>
    public static IReadOnlyDictionary<string, string> OptionsFor(string provider, ProviderSettings settings) =>
        provider switch
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
            // The CPU provider is always present, and always last.
            case "cpu": break;
            case "webgpu":
                options.AppendExecutionProvider("WebGPU", with.ToDictionary());
                break;
            case "cuda":
                using (var cuda = new OrtCUDAProviderOptions())
                {
                    // UpdateOptions loads the provider. Its exception contains the name of a missing library.
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
            default:
                throw new ArgumentOutOfRangeException(nameof(provider), provider, "unknown execution provider");
        }
    }

    private static Dictionary<string, string> WithDevice(IReadOnlyDictionary<string, string> with)
    {
        var all = with.ToDictionary();
        all.TryAdd("device_id", "0");
        return all;
    }
}
