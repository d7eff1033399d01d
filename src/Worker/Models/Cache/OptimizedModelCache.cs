using System.ComponentModel;
using System.Threading.Channels;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Configuration;
using Sluice.Worker.Models.Inspection;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Keeps optimized copies of models between starts. The first load of a model uses the original. After the first
/// requests had time to run, a copy is made in a separate process, and the next start loads that copy. The cache
/// never makes a load fail: an unusable folder, a damaged copy or a failed maker only writes a log line. Only models
/// on the CPU are cached, because a graph that is compiled for a GPU cannot be saved.
/// </summary>
public sealed class OptimizedModelCache : IDisposable, IAsyncDisposable
{
    /// <summary>Largest number of models that wait for their copy. A worker serves fewer.</summary>
    private const int MaxWaiting = 256;

    private readonly CacheSettings settings;
    private readonly CacheFolder? folder;
    private readonly Lazy<CacheConditions> conditions;
    private readonly IReadOnlyList<string> providers;
    private readonly TimeProvider time;
    private readonly Action<string> log;
    private readonly Func<MakeRequest, CancellationToken, Task<string>> make;
    private readonly Channel<MakeRequest> waiting = Channel.CreateBounded<MakeRequest>(MaxWaiting);
    private readonly CancellationTokenSource stop = new();
    private readonly Lock gate = new();
    private readonly HashSet<string> said = [];
    private readonly CancellationToken stopping;
    private readonly Dictionary<string, CachedModel> held = [];
    private readonly List<LoadMark> marks = [];
    private readonly Task making;
    private bool disposed;
    private bool stopped;

    /// <summary>Creates the cache and starts the task that makes copies.</summary>
    /// <param name="settings">Folder and limits.</param>
    /// <param name="providers">Execution providers with their options. They are part of the key.</param>
    /// <param name="time">Clock for delays and last-use times.</param>
    /// <param name="log">Receives each distinct log line once.</param>
    public OptimizedModelCache(
        CacheSettings settings,
        IReadOnlyList<string> providers,
        TimeProvider time,
        Action<string> log)
        : this(settings, providers, time, log, null, (request, ct) => OptimizerProcess.MakeAsync(request, Program, ct))
    {
    }

    internal OptimizedModelCache(
        CacheSettings settings,
        IReadOnlyList<string> providers,
        TimeProvider time,
        Action<string> log,
        CacheConditions? conditions,
        Func<MakeRequest, CancellationToken, Task<string>> make)
    {
        this.settings = settings;
        this.providers = providers;
        this.time = time;
        this.log = log;
        this.make = make;
        this.conditions = new(() => conditions ?? CacheConditions.Here(providers));
        folder = settings.Folder is null ? null : new CacheFolder(settings.Folder, time);
        stopping = stop.Token;
        making = Task.Run(MakeAllAsync);
        if (folder is not null && Directory.Exists(folder.Path)) Task.Run(LoadLibraries, CancellationToken.None);
    }

    /// <summary>
    /// Path of the worker's program, which is also the maker. It is beside the worker's library even if another program
    /// hosts the library.
    /// </summary>
    internal static string Program => Path.Combine(AppContext.BaseDirectory, "Sluice.Worker");

    /// <summary>
    /// Loads the copy of a model if there is one. Otherwise loads the original and queues the making of a copy. A
    /// copy stays locked until the model is loaded again or the cache is disposed. Throws the exceptions of <paramref
    /// name="open"/> on the original.
    /// </summary>
    /// <param name="facts">Facts of the inspected model.</param>
    /// <param name="open">Opens a file. If the second argument is true, graph optimization must be off.</param>
    public T Load<T>(ModelFacts facts, Func<string, bool, T> open)
    {
        if (WhyNot(facts) is { } why)
        {
            if (why.Length > 0) LogOnce($"Model cache: {facts.Path}: {why}");
            return open(facts.Path, false);
        }

        var request = Request(facts);
        var copy = TryOpen(request, out var refused);
        if (copy is not null && Mark(copy) is { } mark)
            try
            {
                var loaded = open(copy.Path, true);
                KeepLocked(facts.Path, copy);
                return loaded;
            }
            catch (OnnxRuntimeException e)
            {
                LogOnce($"Model cache: copy {copy.Path} is removed, because it cannot be loaded: {e.Message}");
                mark.Dispose();
                copy.Dispose();
                folder!.Remove(KeyOf(copy));
            }
            catch
            {
                // The process still runs, so the failure does not prove that the copy is bad.
                mark.Dispose();
                copy.Dispose();
                throw;
            }
        else copy?.Dispose();

        var original = open(facts.Path, false);
        if (!refused && !waiting.Writer.TryWrite(request)) LogOnce("Model cache: too many models wait for their copy");
        return original;
    }

    /// <summary>
    /// Opens and locks the copy of a model. Returns null if there is none, if it was damaged (it is then deleted), or
    /// if the model's files changed since they were hashed.
    /// </summary>
    public CachedModel? TryOpen(ModelFacts facts) => WhyNot(facts) is null ? TryOpen(Request(facts), out _) : null;

    /// <summary>
    /// Deletes the marks of all loads so far, because their models ran. If a mark remains after its process ended,
    /// the next worker deletes the copy and refuses it permanently.
    /// </summary>
    public void ConfirmLoads()
    {
        lock (gate) DeleteMarks();
    }

    /// <summary>
    /// Deletes all marks and creates no more. The worker is stopping, and a kill after its grace period says nothing
    /// about a copy.
    /// </summary>
    public void StopMarking()
    {
        lock (gate)
        {
            stopped = true;
            DeleteMarks();
        }
    }

    /// <summary>
    /// Kills a running maker and unlocks all copies. The next maker deletes the files of a killed one.
    /// </summary>
    public void Dispose()
    {
        waiting.Writer.TryComplete();
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
            foreach (var copy in held.Values) copy.Dispose();
            held.Clear();
            DeleteMarks();
        }

        stop.Cancel();
        stop.Dispose();
    }

    /// <summary>Disposes the cache and waits until the maker has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Dispose();
        await making;
    }

    /// <summary>Completes when all queued copies are made or abandoned.</summary>
    internal async Task FinishAsync()
    {
        waiting.Writer.TryComplete();
        await making;
    }

    /// <summary>
    /// Returns why the model gets no copy. Null: it gets one. Empty: it gets none, and the reason is not logged.
    /// </summary>
    private string? WhyNot(ModelFacts facts)
    {
        if (folder is null) return "";
        if (providers.Any(p => p != "cpu"))
            return $"no optimized copy with {string.Join(", ", providers)}, only on the CPU";
        // Small models gain nothing (see CacheSettings), and copies of thousands of them would fill the folder.
        if (facts.ModelBytes < settings.MinModelBytes) return "";
        return facts.ModelBytes > settings.MaxBytes
            ? $"larger than SLUICE_MODEL_CACHE_BYTES ({settings.MaxBytes})"
            : null;
    }

    /// <summary>
    /// Loads OpenSSL and the JSON libraries early. The first hash and the first manifest load them, which took 60 ms
    /// of a start (measured). In parallel with the start of ONNX Runtime, this takes no extra time.
    /// </summary>
    private static void LoadLibraries()
    {
        var key = ModelKey.Compute(new("", [], "", ""), [("", "")]);
        var manifest = new CacheManifest(key.Value, "", [new("", 0, "", "")]);
        using var text = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(manifest.Text()));
        CacheManifest.Parse(text);
    }

    /// <summary>Keeps a copy locked. A model that is loaded again releases its former copy.</summary>
    private void KeepLocked(string model, CachedModel copy)
    {
        lock (gate)
        {
            if (held.Remove(model, out var before)) before.Dispose();
            held[model] = copy;
        }
    }

    private MakeRequest Request(ModelFacts facts) =>
        new(settings.Folder!, settings.MaxBytes, facts.Path, facts.ExternalFiles, providers);

    /// <param name="request">The model.</param>
    /// <param name="refused">True if no copy of the model may be used or made.</param>
    private CachedModel? TryOpen(MakeRequest request, out bool refused)
    {
        refused = false;
        if (ModelOptimizer.KeyOf(request, conditions.Value, folder!.Hashes.Remembered) is not { } key) return null;
        if (!Directory.Exists(folder.Path)) return null;
        if (DeadLoad(key) is { } dead) Refuse(request, key, dead);
        if (folder.Refusal(key) is { } refusal)
        {
            refused = true;
            LogOnce($"Model cache: {request.Model}: no optimized copy: {refusal}");
            return null;
        }

        var copy = folder.TryOpen(key, out var damage);
        if (damage is not null)
            LogOnce($"Model cache: the copy of {request.Model} is damaged and is made again: {damage}");
        return copy;
    }

    private string? DeadLoad(ModelKey key)
    {
        try
        {
            return folder!.DeadLoad(key);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder cannot be listed. Then no mark can be written either, and no copy is used.
            return null;
        }
    }

    /// <summary>Refuses a copy that ended a worker process.</summary>
    private void Refuse(MakeRequest request, ModelKey key, string dead)
    {
        try
        {
            folder!.Refuse(key, $"{dead} ended while it loaded the copy or ran it for the first time");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogOnce($"Model cache: the copy of {request.Model} ended a worker, and this cannot be recorded: "
                + e.Message);
            folder!.Remove(key);
        }
    }

    /// <summary>Creates the mark of a load. Null if it cannot be written; the copy must then not be used.</summary>
    private LoadMark? Mark(CachedModel copy)
    {
        try
        {
            var mark = folder!.MarkLoad(KeyOf(copy));
            lock (gate)
            {
                if (stopped) mark.Dispose();
                else marks.Add(mark);
            }

            return mark;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogOnce($"Model cache: {folder!.Path} cannot be written, so its copies are not used: {e.Message}");
            return null;
        }
    }

    /// <summary>Deletes all marks. The caller holds the lock.</summary>
    private void DeleteMarks()
    {
        foreach (var mark in marks) mark.Dispose();
        marks.Clear();
    }

    private static ModelKey KeyOf(CachedModel copy) => new(Path.GetFileName(Path.GetDirectoryName(copy.Path)!));

    private async Task MakeAllAsync()
    {
        try
        {
            await foreach (var request in waiting.Reader.ReadAllAsync(stopping))
            {
                await Task.Delay(settings.Delay, time, stopping);
                LogOnce($"Model cache: {await MakeAsync(request)}");
            }
        }
        catch (OperationCanceledException)
        {
            // The worker stops.
        }
    }

    private async Task<string> MakeAsync(MakeRequest request)
    {
        try
        {
            folder!.Create();
            return await make(request, stopping);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{request.Folder} cannot be used, so every start loads the original: {e.Message}";
        }
        catch (Win32Exception e)
        {
            return $"no optimized copies: {Program} cannot be started: {e.Message}";
        }
    }

    private void LogOnce(string line)
    {
        lock (gate)
            if (!said.Add(line)) return;
        log(line);
    }
}
