using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>
/// What runs the models: <c>tensorrt</c>, <c>cuda</c>, <c>webgpu</c>, <c>cpu</c>, in the order of
/// SLUICE_EXECUTION_PROVIDERS. A provider that was asked for and cannot be had stops the worker with the reason: there
/// is no silent CPU.
/// </summary>
public sealed class ExecutionProviders(IReadOnlyList<string> wished)
{
    private static readonly string[] Known = ["tensorrt", "cuda", "webgpu", "cpu"];

    /// <summary>Session options with the providers appended; throws with the missing piece.</summary>
    public SessionOptions Options()
    {
        var options = new SessionOptions
        {
            // Measured (facts on ONNX Runtime, section 3): one thread a run and several callers beat several threads a
            // run, which spin; the callers are the worker's own bounded lanes.
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        foreach (var name in wished) Append(options, name);
        return options;
    }

    private static void Append(SessionOptions options, string name)
    {
        try
        {
            switch (name)
            {
                case "cpu": break;
                case "webgpu":
                    options.AppendExecutionProvider("WebGPU", []);
                    break;
                case "cuda":
                    using (var cuda = new OrtCUDAProviderOptions())
                    {
                        // UpdateOptions loads the provider: its exception names the library that is missing.
                        cuda.UpdateOptions(new Dictionary<string, string> { ["device_id"] = "0" });
                        options.AppendExecutionProvider_CUDA(cuda);
                    }

                    break;
                case "tensorrt":
                    using (var tensorRt = new OrtTensorRTProviderOptions())
                    {
                        tensorRt.UpdateOptions(new Dictionary<string, string> { ["device_id"] = "0" });
                        options.AppendExecutionProvider_Tensorrt(tensorRt);
                    }

                    break;
                default:
                    throw new InvalidOperationException(
                        $"SLUICE_EXECUTION_PROVIDERS has '{name}', expected some of {string.Join(", ", Known)}");
            }
        }
        catch (OnnxRuntimeException e)
        {
            throw new InvalidOperationException($"execution provider {name} cannot be used: {e.Message}", e);
        }
    }
}
