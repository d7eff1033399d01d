using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace Sluice.Models.Downloads;

/// <summary>
/// Downloads one file to a path. What was received stays in <c>path.part</c>, so a later attempt, also of another
/// process, continues there. The file gets its name after its size and digest were checked and its bytes are on disk.
/// </summary>
/// <param name="http">Sends the requests.</param>
/// <param name="file">The file.</param>
/// <param name="path">Where to store it. The folder exists.</param>
/// <param name="handlers">Receives the progress.</param>
/// <param name="time">The clock.</param>
public sealed class FileDownload(
    HttpClient http,
    RemoteFile file,
    string path,
    DownloadHandlers handlers,
    TimeProvider time)
{
    /// <summary>Time without a byte after which an attempt has failed.</summary>
    private static readonly TimeSpan Stalled = TimeSpan.FromSeconds(60);

    private const int BufferBytes = 256 << 10;

    /// <summary>Ends of the names of the files with what was received, and with its tag.</summary>
    internal const string PartEnd = ".part", TagEnd = ".etag";

    private readonly string part = path + PartEnd;
    private readonly string tag = path + TagEnd;

    /// <summary>Downloads the file, and retries as <see cref="DownloadRetry"/> decides.</summary>
    /// <exception cref="ModelFailureException">The file cannot be downloaded.</exception>
    /// <exception cref="IOException">The file cannot be written, for example because the disk is full.</exception>
    public async Task RunAsync(CancellationToken ct)
    {
        if (File.Exists(path))
        {
            handlers.Received(new FileInfo(path).Length);
            return;
        }

        var (withoutProgress, mismatched) = (0, false);
        while (true)
        {
            var before = PartLength();
            TimeSpan? requested = null;
            string why;
            try
            {
                await AttemptAsync(ct);
                return;
            }
            catch (DigestMismatchException e)
            {
                // A part of an older content may have been continued. A second mismatch has another cause.
                if (mismatched) throw new ModelFailureException(e.Message, e);
                (mismatched, why) = (true, e.Message);
            }
            catch (TemporaryFailureException e)
            {
                (requested, why) = (e.RetryAfter, e.Message);
            }
            catch (Exception e) when (IsConnectionError(e, ct))
            {
                why = e is OperationCanceledException
                    ? $"no byte was received for {Stalled.TotalSeconds:0} s" : e.Message;
            }

            withoutProgress = PartLength() > before ? 0 : withoutProgress + 1;
            if (DownloadRetry.Pause(withoutProgress, requested) is not { } pause)
                throw new ModelFailureException($"{file.Path}: {why} ({withoutProgress} attempts without progress)");
            await Task.Delay(pause, time, ct);
        }
    }

    /// <summary>Whether an error is one of the connection and not of the disk.</summary>
    private static bool IsConnectionError(Exception e, CancellationToken ct) => !ct.IsCancellationRequested
        && (e is HttpRequestException or HttpIOException or OperationCanceledException
            || (e is IOException && e.InnerException is System.Net.Sockets.SocketException));

    private long PartLength() => File.Exists(part) ? new FileInfo(part).Length : 0;

    private async Task AttemptAsync(CancellationToken ct)
    {
        var have = PartLength();
        var (known, _) = await ReadTagAsync(ct);
        // Without a tag or a digest, a changed file at the server would be continued unnoticed.
        if (have > 0 && known.Length == 0 && file.Digest is null) have = 0;
        using var stall = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var timer = time.CreateTimer(_ => stall.Cancel(), null, Stalled, Timeout.InfiniteTimeSpan);
        if (have > 0 && have == file.Size)
        {
            await CompleteAsync(have, ct);
            return;
        }

        using var request = await file.Request(stall.Token);
        if (have > 0)
        {
            request.Headers.Range = new RangeHeaderValue(have, null);
            if (known.Length > 0) request.Headers.IfRange = new RangeConditionHeaderValue(known);
        }

        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stall.Token);
        var (from, total) = ReadRange(response, have);
        CheckSize(total);
        if (total is { } size) handlers.Sized(size);
        if (from == 0)
        {
            var strong = response.Headers.ETag is { IsWeak: false } etag ? etag.Tag : "";
            await File.WriteAllTextAsync(tag, $"{strong}\n{file.ReadDigest?.Invoke(response)?.Hex}", ct);
        }

        var length = await CopyAsync(
            response, from, () => timer.Change(Stalled, Timeout.InfiniteTimeSpan), stall.Token);
        if (total is { } expected && length != expected)
            throw new TemporaryFailureException($"the connection ended after {length} of {expected} bytes", null);
        await CompleteAsync(length, ct);
    }

    /// <summary>Returns the tag and the SHA-256 that the server sent with the beginning of the part.</summary>
    private async Task<(string Tag, string Sha256)> ReadTagAsync(CancellationToken ct)
    {
        var lines = File.Exists(tag) ? (await File.ReadAllTextAsync(tag, ct)).Split('\n') : [];
        return lines is [var known, var hash] ? (known, hash) : ("", "");
    }

    /// <summary>Returns where the content of a response starts, and the size of the file if it is known.</summary>
    private (long From, long? Total) ReadRange(HttpResponseMessage response, long have)
    {
        switch (response.StatusCode)
        {
            case HttpStatusCode.OK:
                return (0, response.Content.Headers.ContentLength);
            case HttpStatusCode.PartialContent when response.Content.Headers.ContentRange is { From: { } from } range:
                if (from == have) return (from, range.Length);
                Restart();
                throw new TemporaryFailureException($"the server sent bytes from {from}; expected from {have}", null);
            case HttpStatusCode.RequestedRangeNotSatisfiable:
                Restart();
                throw new TemporaryFailureException($"the server has no bytes from {have}", null);
            case HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or >= (HttpStatusCode)500:
                throw new TemporaryFailureException(Describe(response), RetryAfter(response.Headers.RetryAfter));
            default:
                throw new ModelFailureException($"{file.Path}: {Describe(response)}");
        }
    }

    private TimeSpan? RetryAfter(RetryConditionHeaderValue? value) =>
        value?.Delta ?? (value?.Date is { } date ? date - time.GetUtcNow() : null);

    private static string Describe(HttpResponseMessage response) =>
        $"{response.RequestMessage!.RequestUri!.Host} answered {(int)response.StatusCode} {response.ReasonPhrase}";

    private void CheckSize(long? total)
    {
        if (total is { } t && file.Size is { } stated && t != stated)
            throw new ModelFailureException($"{file.Path} has {t} bytes at the server; expected {stated}, as listed");
        if ((total ?? file.Size) > handlers.MaxBytes)
            throw new ModelFailureException(
                $"{file.Path} has {total ?? file.Size} bytes; expected at most {handlers.MaxBytes} "
                + "(SLUICE_MODEL_STORE_MIB)");
    }

    /// <summary>Writes the content after the bytes that are kept. Returns the length of the part.</summary>
    private async Task<long> CopyAsync(HttpResponseMessage response, long from, Action alive, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(ct);
            await using var target = new FileStream(part, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, 0);
            target.SetLength(from);
            target.Position = from;
            handlers.Received(from);
            var length = from;
            while (await body.ReadAsync(buffer, ct) is var n and > 0)
            {
                length += n;
                if (length > Math.Min(file.Size ?? long.MaxValue, handlers.MaxBytes)) CheckSize(length);
                await target.WriteAsync(buffer.AsMemory(0, n), ct);
                handlers.Received(length);
                alive();
            }

            return length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Checks the digest of the part, makes it durable and gives it its name.</summary>
    private async Task CompleteAsync(long length, CancellationToken ct)
    {
        handlers.Received(length);
        await using (var stored = new FileStream(part, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, 0))
        {
            var (_, stated) = await ReadTagAsync(ct);
            var expected = file.Digest ?? (stated.Length > 0 ? ContentDigest.Sha256(stated) : null);
            if (expected is { } digest && await HashAsync(stored, digest, ct) is var hex && hex != digest.Hex)
            {
                Restart();
                throw new DigestMismatchException(
                    $"{file.Path}: the digest of {length} bytes is '{hex}'; expected {digest}");
            }

            RandomAccess.FlushToDisk(stored.SafeFileHandle);
        }

        File.Move(part, path, overwrite: true);
        File.Delete(tag);
    }

    private static async Task<string> HashAsync(FileStream stored, ContentDigest digest, CancellationToken ct)
    {
        using var hash = digest.Start(stored.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (await stored.ReadAsync(buffer, ct) is var n and > 0) hash.AppendData(buffer, 0, n);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void Restart()
    {
        File.Delete(part);
        File.Delete(tag);
    }

    private sealed class DigestMismatchException(string message) : Exception(message);

    private sealed class TemporaryFailureException(string message, TimeSpan? retryAfter) : Exception(message)
    {
        public TimeSpan? RetryAfter => retryAfter;
    }
}
