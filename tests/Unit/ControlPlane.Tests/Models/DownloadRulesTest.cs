using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Models.Cache;
using Sluice.Models.Downloads;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>What a download refuses, and when it starts again from the beginning.</summary>
public sealed class DownloadRulesTest : IDisposable
{
    private readonly ModelServer server = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-rules-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        server.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_file_with_another_size_than_listed_is_an_error()
    {
        server.Add("/list.json", """{"files":[{"path":"a","size":5}]}"""u8.ToArray());
        server.Add("/a", "sixsix"u8.ToArray());
        await FailsAsync("list.json", "a has 6 bytes at the server; expected 5");
    }

    [Fact]
    public async Task A_file_that_is_larger_than_the_store_is_an_error()
    {
        server.Add("/m.onnx", ModelServer.Content(2000));
        await FailsAsync("m.onnx", "m.onnx has 2000 bytes; expected at most 1000 (SLUICE_MODEL_STORE_MIB)", 1000);
    }

    [Fact]
    public async Task Without_a_tag_and_a_digest_a_part_is_not_continued()
    {
        var content = ModelServer.Content(300_001);
        server.Add("/m.onnx", ModelServer.Content(300_000));
        (server.CutAfter, server.Cuts, server.SendsTags) = (100_000, 1, false);
        server.Override = _ =>
        {
            if (server.Requests.Count == 2) server.Add("/m.onnx", content);
            return null;
        };
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("m.onnx"));
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));
    }

    [Fact]
    public async Task A_wrong_digest_starts_the_download_again_once()
    {
        var content = ModelServer.Content(5000);
        server.Add("/m.onnx", content);
        server.Override = _ => server.Requests.Count == 1 ? (200, "", ModelServer.Content(4999)) : null;
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(
            store, Declared("m.onnx") with { Sha256 = ModelServer.Sha256(content) });
        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(lease.Folder, "model.onnx"), Stop));
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task A_file_of_an_earlier_list_is_not_kept()
    {
        server.Add("/list.json", """{"files":[{"path":"a","size":3},{"path":"b"}]}"""u8.ToArray());
        server.Add("/a", "old"u8.ToArray());
        // The other file is missing after the first one is complete.
        server.Override = r =>
        {
            if (r.Path == "/b")
                SpinWait.SpinUntil(() => Directory.EnumerateFiles(folder, "a", SearchOption.AllDirectories).Any(),
                    ChildProcess.Patience);
            return null;
        };
        await FailsAsync("list.json", "answered 404");
        server.Add("/list.json", """{"files":[{"path":"a","size":5},{"path":"b"}]}"""u8.ToArray());
        server.Add("/a", "newer"u8.ToArray());
        server.Add("/b", "b"u8.ToArray());
        using var store = TestModels.Store(folder);
        using var lease = await AcquireAsync(store, Declared("list.json"));
        Assert.Equal("newer", await File.ReadAllTextAsync(Path.Combine(lease.Folder, "a"), Encoding.UTF8, Stop));
    }

    [Fact]
    public async Task A_model_in_use_is_not_deleted()
    {
        server.Add("/m.onnx", ModelServer.Content(5000));
        using var store = TestModels.Store(folder);
        var layout = new StoreLayout(folder);
        using (await AcquireAsync(store, Declared("m.onnx")))
            Assert.False(layout.TryDelete(StoreLayout.Key(Declared("m.onnx"))));
        Assert.True(layout.TryDelete(StoreLayout.Key(Declared("m.onnx"))));
        Assert.Empty(store.List());
    }

    private async Task FailsAsync(string file, string expected, long maxBytes = 1 << 20)
    {
        using var store = TestModels.Store(folder, maxBytes);
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => AcquireAsync(store, Declared(file)));
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    private static Task<ModelLease> AcquireAsync(ModelStore store, ModelDeclaration model) =>
        store.AcquireAsync(model, "m", _ => { }, Stop);

    private ModelDeclaration Declared(string file) => new() { Source = new Uri(server.Uri, file).ToString() };
}
