using System.ComponentModel;
using System.Threading.Channels;
using Microsoft.ML.OnnxRuntime;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Models.Cache;

/// <summary>
/// Optimised copies of models, kept between starts. The first load of a model is as it ever was; then, when its requests have
/// had time, a copy is made in a process of its own, and the next start loads that. Nothing here can fail a load: a folder
/// that cannot be used, a damaged copy or a maker that dies cost a line in the log.
/// For models on the CPU only: with a GPU the graph is compiled for the device and cannot be saved.
/// </summary>
public sealed class OptimizedModelCache : IDisposable, IAsyncDisposable
{
    /// <summary>Models that wait for their copy; a worker serves fewer.</summary>
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

    /// <param name="settings">Folder and bounds.</param>
    /// <param name="providers">Execution providers with their options, as they are part of the key.</param>
    /// <param name="time">For delays and times of use.</param>
    /// <param name="log">Gets each line once.</param>
    public OptimizedModelCache(CacheSettings settings, IReadOnlyList<string> providers, TimeProvider time, Action<string> log)
        : this(settings, providers, time, log, null, (request, ct) => MakerProcess.MakeAsync(request, Program, ct))
    {
    }

    internal OptimizedModelCache(CacheSettings settings, IReadOnlyList<string> providers, TimeProvider time, Action<string> log,
        CacheConditions? conditions, Func<MakeRequest, CancellationToken, Task<string>> make)
    {
        (this.settings, this.providers, this.time, this.log, this.make) = (settings, providers, time, log, make);
        this.conditions = new(() => conditions ?? CacheConditions.Here(providers));
        folder = settings.Folder is null ? null : new CacheFolder(settings.Folder, time);
        stopping = stop.Token;
        making = Task.Run(MakeAllAsync);
        if (folder is not null && Directory.Exists(folder.Path)) Task.Run(LoadLibraries, CancellationToken.None);
    }

    /// <summary>The worker's own program, which is the maker too: beside its library also where that runs under another.</summary>
    internal static string Program => Path.Combine(AppContext.BaseDirectory, "Sluice.Worker");

    /// <summary>
    /// Loads a model: its copy if there is one, else the original, and then has a copy made. A copy stays held until the model is
    /// loaded again or the cache is disposed. Throws what <paramref name="open"/> throws on the original.
    /// </summary>
    /// <param name="facts">Of the inspected model.</param>
    /// <param name="open">Opens the file; when the second argument is true, with graph optimisation off.</param>
    public T Load<T>(ModelFacts facts, Func<string, bool, T> open)
    {
        if (WhyNot(facts) is { } why)
        {
            if (why.Length > 0) Say($"model cache: {facts.Path}: {why}");
            return open(facts.Path, false);
        }

        var request = Request(facts);
        var copy = TryOpen(request, out var refused);
        if (copy is not null && Mark(copy) is { } mark)
            try
            {
                var loaded = open(copy.Path, true);
                Hold(facts.Path, copy);
                return loaded;
            }
            catch (OnnxRuntimeException e)
            {
                Say($"model cache: {copy.Path} is removed: {e.Message}");
                mark.Dispose();
                copy.Dispose();
                folder!.Remove(KeyOf(copy));
            }
            catch
            {
                // An exception, not the end of the process: it says nothing about the copy.
                mark.Dispose();
                copy.Dispose();
                throw;
            }
        else copy?.Dispose();

        var original = open(facts.Path, false);
        if (!refused && !waiting.Writer.TryWrite(request)) Say("model cache: too many models wait for their copy");
        return original;
    }

    /// <summary>The copy of a model, held, or null: there is none, it was damaged (and is now gone), or the model's files
    /// have not been hashed since they changed.</summary>
    public CachedModel? TryOpen(ModelFacts facts) => WhyNot(facts) is null ? TryOpen(Request(facts), out _) : null;

    /// <summary>
    /// Deletes the marks of all loads so far: their models ran. A mark that stays after the end of its process makes the next worker delete the copy
    /// and refuse it for good.
    /// </summary>
    public void ConfirmLoads()
    {
        lock (gate) DeleteMarks();
    }

    /// <summary>Deletes all marks and creates no more: the worker was asked to stop, and a kill after its grace says nothing about a copy.</summary>
    public void StopMarking()
    {
        lock (gate)
        {
            stopped = true;
            DeleteMarks();
        }
    }

    /// <summary>Ends the maker, if one runs: it is killed, and what it wrote is cleared by the next. Copies are let go.</summary>
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

    /// <summary>The same, and waits until the maker has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Dispose();
        await making;
    }

    /// <summary>Ends when all copies that were asked for so far have been made or given up.</summary>
    internal async Task FinishAsync()
    {
        waiting.Writer.TryComplete();
        await making;
    }

    /// <summary>Null: the model gets a copy. Empty: it does not, and that is not worth a word.</summary>
    private string? WhyNot(ModelFacts facts)
    {
        if (folder is null) return "";
        if (providers.Any(p => p != "cpu")) return $"no optimised copy with {string.Join(", ", providers)}, only on the CPU";
        // Small models gain nothing (see CacheSettings), and a copy of each of thousands would only fill the folder.
        if (facts.ModelBytes < settings.MinModelBytes) return "";
        return facts.ModelBytes > settings.MaxBytes ? $"larger than SLUICE_MODEL_CACHE_BYTES ({settings.MaxBytes})" : null;
    }

    /// <summary>The first hash loads OpenSSL and the first manifest JSON, which took 60 ms of a start (measured); done beside ONNX
    /// Runtime's own start they take none.</summary>
    private static void LoadLibraries()
    {
        var manifest = new CacheManifest(ModelKey.Of(new("", [], "", ""), [("", "")]).Value, "", [new("", 0, "", "")]);
        using var text = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(manifest.Text()));
        CacheManifest.Parse(text);
    }

    /// <summary>A model that is loaded again is held once.</summary>
    private void Hold(string model, CachedModel copy)
    {
        lock (gate)
        {
            if (held.Remove(model, out var before)) before.Dispose();
            held[model] = copy;
        }
    }

    private MakeRequest Request(ModelFacts facts) => new(settings.Folder!, settings.MaxBytes, facts.Path, facts.ExternalFiles, providers);

    /// <param name="request">The model.</param>
    /// <param name="refused">No copy of it is used or made.</param>
    private CachedModel? TryOpen(MakeRequest request, out bool refused)
    {
        refused = false;
        if (CopyMaker.KeyOf(request, conditions.Value, folder!.Hashes.Remembered) is not { } key || !Directory.Exists(folder.Path)) return null;
        if (DeadLoad(key) is { } dead) Refuse(request, key, dead);
        if (folder.Refusal(key) is { } refusal)
        {
            refused = true;
            Say($"model cache: {request.Model}: no optimised copy: {refusal}");
            return null;
        }

        var copy = folder.TryOpen(key, out var damage);
        if (damage is not null) Say($"model cache: the copy of {request.Model} was damaged and is made again: {damage}");
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
            // The folder cannot be listed; then no mark can be written either, and no copy is used.
            return null;
        }
    }

    /// <summary>The copy ended a worker.</summary>
    private void Refuse(MakeRequest request, ModelKey key, string dead)
    {
        try
        {
            folder!.Refuse(key, $"{dead} ended while it loaded the copy or ran it for the first time");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Say($"model cache: the copy of {request.Model} ended a worker, and that cannot be recorded: {e.Message}");
            folder!.Remove(key);
        }
    }

    /// <summary>Null: no mark can be written, so the copy must not be used.</summary>
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
            Say($"model cache: {folder!.Path} cannot be written, so its copies are not used: {e.Message}");
            return null;
        }
    }

    /// <summary>Under the lock.</summary>
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
                Say($"model cache: {await MakeAsync(request)}");
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
            return $"no optimised copies: {Program} cannot be started: {e.Message}";
        }
    }

    private void Say(string line)
    {
        lock (gate)
            if (!said.Add(line)) return;
        log(line);
    }
}
