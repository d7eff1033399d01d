using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>What a maker is told.</summary>
/// <param name="Folder">Of <see cref="CacheSettings"/>.</param>
/// <param name="MaxBytes">Of all entries.</param>
/// <param name="Model">Path of model.onnx.</param>
/// <param name="External">Paths of its external files.</param>
/// <param name="Providers">Part of the key; the copy itself is made for the CPU.</param>
internal sealed record MakeRequest(string Folder, long MaxBytes, string Model, IReadOnlyList<string> External, IReadOnlyList<string> Providers);

/// <summary>
/// Makes the optimised copy of one model: ONNX Runtime loads it, optimises the graph, and writes graph, weights (mapped at
/// the next load instead of parsed) and the layout its matrix kernels want (prepacked). Needs several times the model's
/// size in memory and some seconds, hence in a process of its own, see <see cref="MakerProcess"/>. A copy is kept after it was run in one more
/// process and gave the outputs of the original, see <see cref="TrialProcess"/>; one that did not is never made again for its key.
/// </summary>
internal static class CopyMaker
{
    /// <summary>Weights below this stay in model.onnx, in bytes; ONNX Runtime's own default.</summary>
    private const string ExternalFromBytes = "1024";

    /// <summary>The loaded model, the optimised graph, its prepacked weights and the copy tried out. Measured: 369 MB at most
    /// for a model of 134 MB, of which the process itself is 80.</summary>
    private const long MemoryFactor = 4;

    /// <summary>Weights and prepacked weights, and some room.</summary>
    private const long DiskFactor = 3;

    /// <summary>A model whose copy failed this often within a day is left alone for the rest of it.</summary>
    private const int MaxTries = 3;

    private static readonly TimeSpan TriesExpire = TimeSpan.FromDays(1);

    /// <summary>Makes the copy unless it is there; one maker at a time on a machine. Gives one line for the log.</summary>
    /// <param name="request">Which model, and where to.</param>
    /// <param name="conditions">Of this process.</param>
    /// <param name="time">For the day of tries and the times of use.</param>
    /// <param name="room">Bytes of memory that may be taken.</param>
    /// <param name="write">Writes the copy of a model into a folder; null: ONNX Runtime does.</param>
    public static string Make(MakeRequest request, CacheConditions conditions, TimeProvider time, long room, Action<string, string>? write = null)
    {
        var folder = new CacheFolder(request.Folder, time);
        folder.Create();
        using var locked = folder.LockForMaking();
        var key = KeyOf(request, conditions, folder.Hashes.Get)!.Value;
        if (folder.Refusal(key) is { } refusal) return $"{request.Model}: no optimised copy: {refusal}";
        if (folder.Has(key)) return $"{request.Model}: its optimised copy is there";
        var size = request.External.Append(request.Model).Sum(f => new FileInfo(f).Length);
        if (Obstacle(request, size, room) is { } obstacle) return $"{request.Model}: no optimised copy: {obstacle}";
        var tries = Path.Combine(request.Folder, $"{key}.tries");
        if (Tries(tries, time) >= MaxTries) return $"{request.Model}: no optimised copy: {MaxTries} tries failed today";
        File.AppendAllText(tries, "x");
        var start = time.GetTimestamp();
        var made = folder.Begin();
        try
        {
            (write ?? Write)(request.Model, made);
            var trial = TrialProcess.Try(new TrialRequest(request.Model, Path.Combine(made, CacheFolder.ModelName)), OptimizedModelCache.Program);
            if (trial is { Failure: { } failure, Final: true }) return $"{request.Model}: no optimised copy: {folder.Refuse(key, failure)}";
            if (trial.Failure is { } cause) return $"{request.Model}: no optimised copy now: {cause}";
            var bytes = CacheFolder.SizeOf(made);
            if (bytes + folder.Shrink(request.MaxBytes - bytes) > request.MaxBytes)
                return $"{request.Model}: no optimised copy: {bytes} bytes do not fit into SLUICE_MODEL_CACHE_BYTES ({request.MaxBytes})";
            folder.Publish(made, key, request.Model);
            File.Delete(tries);
            return string.Create(CultureInfo.InvariantCulture,
                $"{request.Model}: kept an optimised copy of {bytes >> 20} MiB, made in {time.GetElapsedTime(start).TotalSeconds:0.0} s");
        }
        finally
        {
            if (Directory.Exists(made)) Directory.Delete(made, recursive: true);
        }
    }

    /// <summary>The key under which a model's copy is kept; null when <paramref name="hash"/> does not know one of its files.</summary>
    public static ModelKey? KeyOf(MakeRequest request, CacheConditions conditions, Func<string, string?> hash)
    {
        var home = Path.GetDirectoryName(request.Model)!;
        var files = new List<(string, string)>();
        foreach (var file in request.External.Append(request.Model))
        {
            if (hash(file) is not { } known) return null;
            files.Add((Path.GetRelativePath(home, file), known));
        }

        return ModelKey.Of(conditions, files);
    }

    private static string? Obstacle(MakeRequest request, long size, long room)
    {
        if (room < size * MemoryFactor) return $"it needs {size * MemoryFactor >> 20} MiB of memory, {room >> 20} are free";
        var disk = new DriveInfo(request.Folder).AvailableFreeSpace;
        return disk < size * DiskFactor ? $"it needs {size * DiskFactor >> 20} MiB on disk, {disk >> 20} are free" : null;
    }

    private static int Tries(string path, TimeProvider time)
    {
        var file = new FileInfo(path);
        if (file.Exists && time.GetUtcNow() - file.LastWriteTimeUtc > TriesExpire) file.Delete();
        file.Refresh();
        return file.Exists ? (int)file.Length : 0;
    }

    private static void Write(string model, string folder)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        options.OptimizedModelFilePath = Path.Combine(folder, CacheFolder.ModelName);
        options.AddSessionConfigEntry("session.optimized_model_external_initializers_file_name", CacheFolder.DataName);
        options.AddSessionConfigEntry("session.optimized_model_external_initializers_min_size_in_bytes", ExternalFromBytes);
        options.AddSessionConfigEntry("session.save_external_prepacked_constant_initializers", "1");
        using var session = new InferenceSession(model, options);
    }
}
