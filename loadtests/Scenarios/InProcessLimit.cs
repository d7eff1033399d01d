using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Worker.Devices;

namespace Sluice.Scenarios;

/// <summary>
/// What a model gives without HTTP: ONNX Runtime called in this process, from the host's memory and back into it.
/// </summary>
internal static class InProcessLimit
{
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Rows a second at batch 1 with one caller, and at batch 32 with as many callers as the worker has lanes: two on
    /// two cores, one on a GPU.
    /// </summary>
    public static (double One, double Ideal) Of(string path, int width, string provider = "cpu")
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        Append(options, provider);
        using var session = new InferenceSession(path, options);
        Rate(session, width, 1, 1, provider);
        return (Rate(session, width, 1, 1, provider), Rate(session, width, 32, provider == "cpu" ? Environment.ProcessorCount : 1, provider));
    }

    /// <summary>Adds a provider to the options of a session.</summary>
    public static void Append(SessionOptions options, string provider)
    {
        GpuLibraries.Load(GpuLibraries.For(provider), GpuLibraries.Folders(
            Environment.GetEnvironmentVariable("SLUICE_CUDA_LIBRARY_PATH")?.Split(':', StringSplitOptions.RemoveEmptyEntries) ?? []));
        if (provider == "cuda") options.AppendExecutionProvider_CUDA(0);
        else if (provider == "tensorrt") options.AppendExecutionProvider_Tensorrt(0);
        else if (provider == "webgpu") options.AppendExecutionProvider("WebGPU");
    }

    private static double Rate(InferenceSession session, int width, int rows, int callers, string provider)
    {
        var started = Stopwatch.GetTimestamp();
        var runs = new long[callers];
        var threads = Enumerable.Range(0, callers).Select(c => new Thread(() =>
        {
            using var input = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [rows, width]);
            input.GetTensorMutableDataAsSpan<float>().Fill(0.5f);
            using var run = new RunOptions();
            using var binding = session.CreateIoBinding();
            binding.BindInput("in", input);
            binding.BindOutputToDevice("out", OrtMemoryInfo.DefaultInstance);
            while (Stopwatch.GetElapsedTime(started) < Slice)
            {
                // Binding is what copies an input to a device.
                if (provider != "cpu") binding.BindInput("in", input);
                session.RunWithBinding(run, binding);
                runs[c]++;
            }
        })).ToList();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        return runs.Sum() * rows / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
