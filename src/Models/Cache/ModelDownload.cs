using System.Security.Cryptography;
using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Models.Archives;
using Sluice.Models.Downloads;
using Sluice.Models.Sources;

namespace Sluice.Models.Cache;

/// <summary>
/// Delivers one model to the store: lists the files, makes room, downloads, unpacks and publishes. An incomplete
/// download stays on disk, and the next one continues it, unless the disk is full.
/// </summary>
internal sealed class ModelDownload(
    ModelDeclaration model, StoreLayout layout, ModelStoreTools tools, DownloadProgress progress)
{
    /// <summary>The most files that are downloaded at the same time.</summary>
    private const int Parallel = 4;

    private const string OnnxExtension = ".onnx", OnnxName = "model.onnx";

    private static readonly TimeSpan LockPoll = TimeSpan.FromMilliseconds(100);

    private readonly string key = StoreLayout.Key(model);
    private readonly Lock gate = new();

    private string Target => Path.Combine(layout.Partial(key), "files");

    /// <summary>Delivers the model, unless another process did while this one waited for it.</summary>
    /// <exception cref="ModelFailureException">The model cannot be delivered.</exception>
    public async Task RunAsync(CancellationToken ct)
    {
        using var owner = await LockAsync(ct);
        if (layout.Read(key) is not null) return;
        try
        {
            while (true)
            {
                try
                {
                    await DeliverAsync(ct);
                    return;
                }
                catch (IOException e) when (DiskErrors.IsDiskFull(e))
                {
                    if (!tools.Eviction.EvictOne(key)) throw tools.Eviction.DiskFull(e);
                }
            }
        }
        catch (ModelFailureException e)
        {
            // What was received would keep the disk full.
            if (e.IsDiskFull && Directory.Exists(layout.Partial(key)))
                Directory.Delete(layout.Partial(key), recursive: true);
            throw new ModelFailureException($"model {model.Source}: {e.Message}", e) { IsDiskFull = e.IsDiskFull };
        }
        catch (IOException e)
        {
            throw new ModelFailureException($"model {model.Source}: {e.Message}", e);
        }
    }

    private async Task<FileStream> LockAsync(CancellationToken ct)
    {
        while (true)
        {
            if (StoreLock.TryExclusive(layout.DownloadLock(key)) is { } owner) return owner;
            progress.Report("another gateway of this machine downloads it");
            // The kernel offers no wait that can be cancelled.
            for (var i = 0; i < 10; i++)
            {
                await Task.Delay(LockPoll, tools.Time, ct);
                if (StoreLock.TryExclusive(layout.DownloadLock(key)) is { } later) return later;
            }
        }
    }

    private async Task DeliverAsync(CancellationToken ct)
    {
        progress.Report("reading the list of files");
        var plan = await tools.Sources.ResolveAsync(model, ct);
        PreparePartial(plan);
        progress.Total = plan.KnownBytes;
        MakeRoom(plan.KnownBytes);
        // Only the size of a single file is unknown until it is requested.
        await System.Threading.Tasks.Parallel.ForEachAsync(plan.Files,
            new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = ct },
            async (file, stop) => await DownloadAsync(file, plan.Files.Count == 1, stop));
        var files = await UnpackAsync(plan, ct);
        var bytes = new DirectoryInfo(files).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);
        tools.Eviction.MakeRoom(key, bytes, onDisk: bytes);
        layout.Publish(key, files, new StoredModel(model.Source, plan.Revision, bytes, tools.Time.GetUtcNow()));
    }

    private void MakeRoom(long bytes) => tools.Eviction.MakeRoom(key, bytes, onDisk: Stored());

    private long Stored() => Directory.Exists(Target)
        ? new DirectoryInfo(Target).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length) : 0;

    /// <summary>Deletes what an earlier download of other files left.</summary>
    private void PreparePartial(DownloadPlan plan)
    {
        var text = string.Join('\n', plan.Files.Select(f => $"{f.Path} {f.Size} {f.Digest}").Prepend(plan.Revision));
        var fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        var mark = Path.Combine(layout.Partial(key), "plan");
        if (File.Exists(mark) && File.ReadAllText(mark) == fingerprint) return;
        if (Directory.Exists(layout.Partial(key))) Directory.Delete(layout.Partial(key), recursive: true);
        Directory.CreateDirectory(Target);
        File.WriteAllText(mark, fingerprint);
    }

    private async Task DownloadAsync(RemoteFile file, bool isOnly, CancellationToken ct)
    {
        var path = Path.Combine(Target, file.Path);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var handlers = new DownloadHandlers(
            bytes =>
            {
                lock (gate) progress.Record(file.Path, bytes);
            },
            size =>
            {
                if (!isOnly || file.Size is not null) return;
                progress.Total = size;
                MakeRoom(size);
            },
            tools.Settings.MaxBytes);
        await new FileDownload(tools.Http, file, path, handlers, tools.Time).RunAsync(ct);
    }

    /// <summary>Returns the folder with the model's files: those of the archive, if the download is one.</summary>
    private async Task<string> UnpackAsync(DownloadPlan plan, CancellationToken ct)
    {
        if (plan.LayerFolder is { } source) return await ApplyLayersAsync(plan, source, ct);
        if (plan.Files is not [{ MayBeArchive: true } only]) return Target;
        var path = Path.Combine(Target, only.Path);
        if (ModelArchive.Detect(path) == ArchiveFormat.None)
        {
            // The built-in worker finds a model by this name.
            if (only.Path.EndsWith(OnnxExtension, StringComparison.Ordinal))
                File.Move(path, Path.Combine(Target, OnnxName), overwrite: true);
            return Target;
        }

        var folder = CreateUnpacked();
        await ModelArchive.UnpackAsync(path, folder, new ArchiveLimits(tools.Settings.MaxBytes), ct);
        File.Delete(path);
        return ModelArchive.FindRoot(folder);
    }

    private async Task<string> ApplyLayersAsync(DownloadPlan plan, string source, CancellationToken ct)
    {
        var folder = CreateUnpacked();
        var layers = new ImageLayers(source, folder, new ArchiveLimits(tools.Settings.MaxBytes));
        foreach (var layer in plan.Files) await layers.ApplyAsync(Path.Combine(Target, layer.Path), ct);
        if (Directory.GetFileSystemEntries(folder).Length == 0)
            throw new ModelFailureException($"the image has no files in /{source}");
        Directory.Delete(Target, recursive: true);
        return ModelArchive.FindRoot(folder);
    }

    private string CreateUnpacked()
    {
        progress.Report("unpacking");
        var folder = Path.Combine(layout.Partial(key), "unpacked");
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        return folder;
    }
}
