using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>Runs a tiny model on exactly one provider. A node that runs on the CPU instead is a failure.</summary>
internal static class ProviderTrial
{
    public static ProviderRun Run(string provider, ProviderSettings settings)
    {
        var started = Stopwatch.GetTimestamp();
        var error = "";
        try
        {
            error = Try(provider, settings);
        }
        catch (Exception e) when (e is OnnxRuntimeException or EntryPointNotFoundException
            or DllNotFoundException or InvalidOperationException)
        {
            error = e.Message;
        }

        var duration = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return new ProviderRun(provider, error.Length == 0 ? null : error, duration);
    }

    private static string Try(string provider, ProviderSettings settings)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        };
        using var profile = PlacementProfile.Start(options, cpuOnly: provider == "cpu");
        ProviderAppender.Append(options, provider, Plain(provider, settings));
        using var session = new InferenceSession(MinimalOnnxModel.Bytes(), options);
        using var input = OrtValue.CreateTensorValueFromMemory(MinimalOnnxModel.Input, [1, 2]);
        using var run = new RunOptions();
        using var results = session.Run(run, ["x"], [input], ["y"]);
        var placement = profile.End(session);
        if (placement.On(provider) < placement.Placed.Count)
            return $"it ran only a part of a model of two nodes: {placement}";
        var result = results[0].GetTensorDataAsSpan<float>();
        return result.SequenceEqual(MinimalOnnxModel.Output)
            ? ""
            : $"it returned a wrong result: [{result[0]}, {result[1]}]; expected [3, 0]";
    }

    /// <summary>
    /// Returns only the options that select the device. Engines, graphs and profiles are for the real model.
    /// </summary>
    private static Dictionary<string, string> Plain(string provider, ProviderSettings settings) =>
        ProviderAppender.OptionsFor(provider, settings)
            .Where(o => o.Key is "device_id" or "deviceId" or "dawnBackendType" or "powerPreference")
            .ToDictionary(StringComparer.Ordinal);
}
