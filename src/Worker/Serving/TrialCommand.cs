using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models.Cache;

namespace Sluice.Worker.Serving;

/// <summary>The worker's program as a trial process; see <see cref="TrialProcess"/>.</summary>
internal static class TrialCommand
{
    /// <summary>Entry point of the trial process. Returns its exit code.</summary>
    public static int Run()
    {
        if (Console.In.ReadLine() is not { } line) return TrialProcess.Broken;
        if (JsonSerializer.Deserialize(line, CacheJson.Default.TrialRequest) is not { } request)
            return TrialProcess.Broken;
        OptimizerProcess.EndWithParent();
        try
        {
            if (CopyTrial.Run(request.Original, request.Copy) is not { } wrong) return TrialProcess.Good;
            Console.WriteLine(wrong);
            return TrialProcess.Bad;
        }
        catch (Exception e) when (e is OnnxRuntimeException or InvalidOperationException
            or NotSupportedException or InvalidDataException)
        {
            Console.WriteLine($"it cannot be loaded or run: {e.Message.ReplaceLineEndings(" ")}");
            return TrialProcess.Bad;
        }
    }
}
