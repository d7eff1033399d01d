using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Models.Cache;
using Sluice.Models.Downloads;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>The models of a node: downloads from a real HTTP server on loopback, into real folders.</summary>
public sealed class ModelStoreTest : IDisposable
{
    private readonly ModelServer server = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-store-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        server.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_download_whose_connection_is_cut_20_times_is_continued_and_complete()
    {
        var content = ModelServer.Content(2 << 20);
        server.Add("/m.onnx", content);
        (server.CutAfter, server.Cuts) = (100_000, 20);
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("m.onnx") with { Sha256 = ModelServer.Sha256(content) });
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Repository, "m", "model.onnx"), Stop));
        // Each request but the first continued where the last one was cut.
        Assert.Equal(21, server.Requests.Count);
        Assert.Equal(Enumerable.Range(1, 20).Select(i => $"bytes={i * 100_000}-"),
            server.Requests.Skip(1).Select(r => r.Headers["Range"]));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(folder, "partial")));
    }

    [Fact]
    public async Task A_file_that_changes_between_two_attempts_is_downloaded_from_its_beginning()
    {
        var (old, content) = (ModelServer.Content(300_000), ModelServer.Content(300_001));
        server.Add("/m.onnx", old);
        (server.CutAfter, server.Cuts) = (100_000, 1);
        server.Override = r =>
        {
            if (server.Requests.Count == 2) server.Add("/m.onnx", content);
            return null;
        };
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("m.onnx"));
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public async Task Servers_without_tags_or_ranges_are_supported(bool tags, bool ranges)
    {
        var content = ModelServer.Content(300_000);
        server.Add("/m.onnx", content);
        (server.SendsTags, server.SupportsRanges) = (tags, ranges);
        (server.CutAfter, server.Cuts) = (100_000, 2);
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("m.onnx"));
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));
    }

    [Fact]
    public async Task A_wrong_digest_is_an_error_that_names_both_and_nothing_is_stored()
    {
        var content = ModelServer.Content(5000);
        server.Add("/m.onnx", content);
        using var store = TestModels.Store(folder);
        var expected = new string('0', 64);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(
            () => AcquireAsync(store, Declared("m.onnx") with { Sha256 = expected }));
        Assert.Contains($"'{ModelServer.Sha256(content)}'; expected sha256:{expected}", failure.Message,
            StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(folder, "models")));
    }

    [Fact]
    public async Task Two_workers_of_one_gateway_share_one_download_and_both_see_its_progress()
    {
        server.Add("/m.onnx", ModelServer.Content(1 << 20));
        server.HoldAfter = 1000;
        using var store = TestModels.Store(folder);
        var (first, second) = (new List<StartProgress>(), new List<StartProgress>());
        var one = store.AcquireAsync(Declared("m.onnx"), "m", Into(first), Stop);
        await server.Held.Task.WaitAsync(ChildProcess.Patience, Stop);
        var two = store.AcquireAsync(Declared("m.onnx"), "other", Into(second), Stop);
        server.Release.SetResult();
        using var a = await one;
        using var b = await two;
        Assert.Single(server.Requests);
        Assert.Equal(a.Folder, b.Folder);
        Assert.True(File.Exists(Path.Combine(b.Repository, "other", "model.onnx")));
        var source = new Uri(server.Uri, "m.onnx").ToString();
        lock (first)
            Assert.Contains(first, s => s.Text.EndsWith("% of 1.0 MiB", StringComparison.Ordinal)
                && s.Download == new ModelTransfer(source, "m.onnx", s.Download!.Bytes, 1 << 20)
                && s.Download.Bytes is >= 0 and <= 1 << 20);
        lock (second) Assert.NotEmpty(second);
    }

    [Fact]
    public async Task Two_gateways_of_one_machine_share_one_download()
    {
        server.Add("/m.onnx", ModelServer.Content(1 << 20));
        server.HoldAfter = 1000;
        using var here = TestModels.Store(folder);
        using var there = TestModels.Store(folder);
        var one = AcquireAsync(here, Declared("m.onnx"));
        await server.Held.Task.WaitAsync(ChildProcess.Patience, Stop);
        var waits = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var two = there.AcquireAsync(Declared("m.onnx"), "m", _ => waits.TrySetResult(), Stop);
        // The other gateway reports that it waits for the first one.
        await waits.Task.WaitAsync(ChildProcess.Patience, Stop);
        server.Release.SetResult();
        using var a = await one;
        using var b = await two;
        Assert.Single(server.Requests);
        Assert.Equal(a.Folder, b.Folder);
    }

    [Fact]
    public async Task A_download_is_cancelled_with_its_last_caller_and_continued_by_the_next_one()
    {
        var content = ModelServer.Content(1 << 20);
        server.Add("/m.onnx", content);
        server.HoldAfter = 1 << 19;
        using (var ended = TestModels.Store(folder))
        {
            using var cancel = new CancellationTokenSource();
            var waiting = ended.AcquireAsync(Declared("m.onnx"), "m", _ => { }, cancel.Token);
            await server.Held.Task.WaitAsync(ChildProcess.Patience, Stop);
            await Eventually.HoldsAsync(() => PartBytes() == 1 << 19);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        server.HoldAfter = int.MaxValue;
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("m.onnx"));
        Assert.Equal($"bytes={1 << 19}-", server.Requests[^1].Headers["Range"]);
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));

        long PartBytes() => new DirectoryInfo(folder).EnumerateFiles("*.part", SearchOption.AllDirectories)
            .Sum(f => f.Length);
    }

    [Fact]
    public async Task The_least_recently_used_model_makes_room_and_never_one_in_use()
    {
        foreach (var name in new[] { "a", "b", "c", "d" }) server.Add($"/{name}.onnx", ModelServer.Content(400_000));
        using var store = TestModels.Store(folder, maxBytes: 1_000_000);
        using var held = await AcquireAsync(store, Declared("a.onnx"));
        (await AcquireAsync(store, Declared("b.onnx"))).Dispose();
        (await AcquireAsync(store, Declared("c.onnx"))).Dispose();
        Assert.Equal(["a.onnx", "c.onnx"], Stored());

        // The room of two models is used by workers, of this gateway and of another one.
        using var other = TestModels.Store(folder, maxBytes: 1_000_000);
        using var more = await AcquireAsync(other, Declared("c.onnx"));
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store, Declared("d.onnx")));
        Assert.True(failure.IsDiskFull);
        Assert.Contains("SLUICE_MODEL_STORE_MIB", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["a.onnx", "c.onnx"], Stored());
        Assert.True(File.Exists(Path.Combine(held.Folder, "model.onnx")));

        more.Dispose();
        (await AcquireAsync(store, Declared("d.onnx"))).Dispose();
        Assert.Equal(["a.onnx", "d.onnx"], Stored());

        IEnumerable<string> Stored() => store.List().Select(m => Path.GetFileName(m.Model!.Source)).Order();
    }

    [Fact]
    public async Task A_full_disk_is_reported_and_leaves_nothing_half_loaded()
    {
        Require.Available(SmallDisk.WhyNot);
        using var disk = new SmallDisk("8m");
        // The server does not report the size of the file, so the disk becomes full while it is written.
        var content = ModelServer.Content(5 << 20);
        server.Add("/big.onnx", content);
        server.Add("/small.onnx", ModelServer.Content(2 << 20));
        using var store = TestModels.Store(disk.Folder);
        var held = await AcquireAsync(store, Declared("small.onnx"));
        disk.Fill();
        server.Override = r => r.Path == "/big.onnx" ? (200, "", content) : null;
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store, Declared("big.onnx")));
        Assert.True(failure.IsDiskFull);
        Assert.Contains("SLUICE_MODEL_STORE", failure.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(disk.Folder, "partial")));
        Assert.Single(store.List());

        // With room again, and the first model not in use, the same declaration is delivered.
        disk.Free();
        held.Dispose();
        using var lease = await AcquireAsync(store, Declared("big.onnx"));
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));
    }

    [Fact]
    public async Task A_disk_that_becomes_full_during_a_download_is_reported()
    {
        Require.Available(SmallDisk.WhyNot);
        using var disk = new SmallDisk("4m");
        server.Add("/m.onnx", ModelServer.Content(2 << 20));
        server.HoldAfter = 1000;
        using var store = TestModels.Store(disk.Folder);
        var waiting = AcquireAsync(store, Declared("m.onnx"));
        await server.Held.Task.WaitAsync(ChildProcess.Patience, Stop);
        await Eventually.HoldsAsync(() => Directory.EnumerateFiles(disk.Folder, "*.part", SearchOption.AllDirectories)
            .Any(f => new FileInfo(f).Length == 1000));
        disk.Fill();
        server.Release.SetResult();
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => waiting);
        Assert.True(failure.IsDiskFull);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(disk.Folder, "partial")));
    }

    [Fact]
    public async Task A_repository_is_delivered_from_one_commit_with_checked_files_and_the_token()
    {
        var weights = ModelServer.Content(3000);
        server.AddRepository("owner/name", "main", "c0ffee", ("onnx/model.onnx", weights),
            ("config.json", "{}"u8.ToArray()), ("pytorch_model.bin", ModelServer.Content(9000)));
        using var store = TestModels.Store(folder, server: server.Uri, token: "hf_secret");
        var model = new ModelDeclaration { Source = "hf://owner/name", Files = ["onnx/*", "*.json"] };
        using var lease = await AcquireAsync(store, model);
        Assert.Equal(weights, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "onnx/model.onnx"), Stop));
        Assert.Equal("{}", await File.ReadAllTextAsync(Path.Combine(lease.Folder, "config.json"), Stop));
        Assert.False(File.Exists(Path.Combine(lease.Folder, "pytorch_model.bin")));
        Assert.Equal("c0ffee", store.List()[0].Model!.Revision);
        Assert.All(server.Requests, r => Assert.Equal("Bearer hf_secret", r.Headers["Authorization"]));

        // A small file has no digest of LFS; git's is checked.
        server.Add("/owner/name/resolve/c0ffee/config.json", "[]"u8.ToArray());
        using var other = TestModels.Store(Path.Combine(folder, "other"), server: server.Uri);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(other, model));
        Assert.Contains("config.json: the digest", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("/etc/x")]
    [InlineData("a/../../x")]
    [InlineData("a\\\\..\\\\x")]
    public async Task A_hostile_name_in_a_list_of_files_is_rejected(string name)
    {
        server.Add("/list.json", System.Text.Encoding.UTF8.GetBytes($$"""{"files":[{"path":"{{name}}"}]}"""));
        using var store = TestModels.Store(folder);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store, Declared("list.json")));
        Assert.Contains(SafePath.Rule, failure.Message, StringComparison.Ordinal);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_list_of_files_is_delivered_as_a_folder()
    {
        var weights = ModelServer.Content(3000);
        server.Add("/m/list.json", System.Text.Encoding.UTF8.GetBytes(
            $$"""{"files":[{"path":"1/model.onnx","sha256":"{{ModelServer.Sha256(weights)}}"},{"path":"a b.txt"}]}"""));
        server.Add("/m/1/model.onnx", weights);
        server.Add("/m/a b.txt", "x"u8.ToArray());
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("m/list.json"));
        Assert.Equal(weights, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "1/model.onnx"), Stop));
        Assert.Equal("x", await File.ReadAllTextAsync(Path.Combine(lease.Folder, "a b.txt"), Stop));
    }

    [Fact]
    public async Task A_refusal_of_the_server_is_the_reason_without_a_retry()
    {
        using var store = TestModels.Store(folder);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store, Declared("none.onnx")));
        Assert.Contains("answered 404", failure.Message, StringComparison.Ordinal);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task A_folder_of_the_node_is_used_where_it_is()
    {
        var source = Directory.CreateDirectory(Path.Combine(folder, "mine")).FullName;
        await File.WriteAllTextAsync(Path.Combine(source, "model.onnx"), "x", Stop);
        using var store = TestModels.Store(Path.Combine(folder, "store"));
        using var lease = await AcquireAsync(store, new ModelDeclaration { Source = source });
        Assert.Equal("x", await File.ReadAllTextAsync(Path.Combine(lease.Repository, "m", "model.onnx"), Stop));
        var failure = await Assert.ThrowsAsync<ModelFailureException>(
            () => AcquireAsync(store, new ModelDeclaration { Source = source + "-none" }));
        Assert.Contains("expected an existing folder", failure.Message, StringComparison.Ordinal);
    }

    private static Action<StartProgress> Into(List<StartProgress> steps) => step =>
    {
        lock (steps) steps.Add(step);
    };

    private static Task<ModelLease> AcquireAsync(ModelStore store, ModelDeclaration model) =>
        store.AcquireAsync(model, "m", _ => { }, Stop);

    private ModelDeclaration Declared(string file) => new() { Source = new Uri(server.Uri, file).ToString() };
}
