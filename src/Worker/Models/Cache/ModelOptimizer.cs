using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Makes the optimized copy of one model. ONNX Runtime loads the model, optimizes the graph, and writes the graph,
/// the weights (the next load maps them instead of parsing them) and their layout for matrix kernels (prepacked).
/// This needs several times the model's size in memory and takes some seconds, so it runs in a separate process, see
/// <see cref="OptimizerProcess"/>. A copy is kept only after it returned the outputs of the original in one more
/// process, see <see cref="TrialProcess"/>. A copy that fails this trial is never made again for its key.
/// </summary>
internal static class ModelOptimizer
{
    /// <summary>Smallest weight, in bytes, that is stored outside model.onnx. This is ONNX Runtime's default.</summary>
    private const string ExternalFromBytes = "1024";

    /// <summary>
    /// Memory needed, as a multiple of the model's size: the loaded model, the optimized graph, its prepacked weights
    /// and the trial of the copy. Measured: at most 369 MB for a model of 134 MB, of which the process itself uses 80
    /// MB.
    /// </summary>
    private const long MemoryFactor = 4;

    /// <summary>
    /// Disk space needed, as a multiple of the model's size: weights, prepacked weights and a reserve.
    /// </summary>
    private const long DiskFactor = 3;

    /// <summary>Number of failed attempts after which no copy of a model is made for a day.</summary>
    private const int MaxTries = 3;

    private static readonly TimeSpan TriesExpire = TimeSpan.FromDays(1);

    /// <summary>
    /// Makes the copy unless it exists. Only one maker runs at a time on a machine. Returns one line for the log.
    /// </summary>
    /// <param name="request">The model and the cache folder.</param>
    /// <param name="conditions">Conditions of this process.</param>
    /// <param name="time">Clock for the age of failed attempts and for last-use times.</param>
    /// <param name="room">Bytes of memory that are available.</param>
    /// <param name="write">Writes the copy of a model into a folder. Null: ONNX Runtime writes it.</param>
    public static string Make(
        MakeRequest request,
        CacheConditions conditions,
        TimeProvider time,
        long room,
        Action<string, string>? write = null)
    {
        var folder = new CacheFolder(request.Folder, time);
        folder.Create();
        using var locked = folder.LockForMaking();
        var key = KeyOf(request, conditions, folder.Hashes.Get)!.Value;
        if (folder.Refusal(key) is { } refusal) return $"{request.Model}: no optimized copy: {refusal}";
        if (folder.Has(key)) return $"{request.Model}: its optimized copy exists";
        var size = request.External.Append(request.Model).Sum(f => new FileInfo(f).Length);
        if (Obstacle(request, size, room) is { } obstacle) return $"{request.Model}: no optimized copy: {obstacle}";
        var tries = Path.Combine(request.Folder, $"{key}.tries");
        if (Tries(tries, time) >= MaxTries)
            return $"{request.Model}: no optimized copy: {MaxTries} attempts failed within a day";
        File.AppendAllText(tries, "x");
        var start = time.GetTimestamp();
        var made = folder.CreateTemporary();
        try
        {
            (write ?? Write)(request.Model, made);
            var copy = new TrialRequest(request.Model, Path.Combine(made, CacheFolder.ModelName));
            var trial = TrialProcess.Try(copy, OptimizedModelCache.Program);
            if (trial is { Failure: { } failure, Final: true })
                return $"{request.Model}: no optimized copy: {folder.Refuse(key, failure)}";
            if (trial.Failure is { } cause) return $"{request.Model}: no optimized copy now: {cause}";
            var bytes = CacheFolder.SizeOf(made);
            if (bytes + folder.Shrink(request.MaxBytes - bytes) > request.MaxBytes)
                return $"{request.Model}: no optimized copy: {bytes} bytes do not fit into SLUICE_MODEL_CACHE_BYTES "
                    + $"({request.MaxBytes})";
            folder.Publish(made, key, request.Model);
            File.Delete(tries);
            return string.Create(CultureInfo.InvariantCulture,
                $"{request.Model}: kept an optimized copy of {bytes >> 20} MiB, "
                + $"made in {time.GetElapsedTime(start).TotalSeconds:0.0} s");
        }
        finally
        {
            if (Directory.Exists(made)) Directory.Delete(made, recursive: true);
        }
    }

    /// <summary>
    /// Returns the key of a model's copy. Null if <paramref name="hash"/> returns null for one of its files.
    /// </summary>
    public static ModelKey? KeyOf(MakeRequest request, CacheConditions conditions, Func<string, string?> hash)
    {
        var home = Path.GetDirectoryName(request.Model)!;
        var files = new List<(string, string)>();
        foreach (var file in request.External.Append(request.Model))
        {
            if (hash(file) is not { } known) return null;
            files.Add((Path.GetRelativePath(home, file), known));
        }

        return ModelKey.Compute(conditions, files);
    }

    private static string? Obstacle(MakeRequest request, long size, long room)
    {
        if (room < size * MemoryFactor)
            return $"it needs {size * MemoryFactor >> 20} MiB of memory, {room >> 20} MiB are free";
        var disk = new DriveInfo(request.Folder).AvailableFreeSpace;
        return disk < size * DiskFactor
            ? $"it needs {size * DiskFactor >> 20} MiB on disk, {disk >> 20} MiB are free"
            : null;
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
        options.AddSessionConfigEntry(
            "session.optimized_model_external_initializers_min_size_in_bytes", ExternalFromBytes);
        options.AddSessionConfigEntry("session.save_external_prepacked_constant_initializers", "1");
        using var session = new InferenceSession(model, options);
    }
}
