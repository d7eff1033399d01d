using System.Collections.Concurrent;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>Sees to it that the daemon has an image; pods that want the same one at the same time share its pull.</summary>
internal sealed class ImageStore(EngineClient engine, string registryConfig, TimeProvider time)
{
    /// <summary>A registry that says nothing for this long says nothing any more.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(2);

    /// <summary>How often those who wait are told.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, SharedPull> pulls = [];

    /// <summary>Ends when the image is there; true when it was pulled for that.</summary>
    /// <exception cref="InvalidOperationException">It cannot be had; the message says why.</exception>
    public async Task<bool> EnsureAsync(string image, PullPolicy policy, Action<string> progress, CancellationToken ct)
    {
        if (policy != PullPolicy.Always && await engine.ImageIdAsync(image, ct) is not null) return false;
        if (policy == PullPolicy.Never)
            throw new InvalidOperationException($"the Docker daemon has no image {image}, and container.pull is never: build or load it there");
        var pull = pulls.GetOrAdd(image, name => new SharedPull(name));
        pull.Begin(() => PullAsync(pull));
        progress(pull.Progress.Words);
        // One that gives up does not end it for the others; nor for itself, should it come again.
        while (await Task.WhenAny(pull.Done, Task.Delay(TellEvery, time, ct)) != pull.Done)
        {
            ct.ThrowIfCancellationRequested();
            progress(pull.Progress.Words);
        }

        await pull.Done;
        return true;
    }

    private async Task PullAsync(SharedPull pull)
    {
        var image = pull.Image;
        try
        {
            var name = ImageName.Parse(image);
            using var silence = new CancellationTokenSource(Silence, time);
            await using var stream = await engine.PullAsync(name, RegistryCredentials.Find(registryConfig, name), silence.Token);
            using var reader = new StreamReader(stream);
            while (await reader.ReadLineAsync(silence.Token) is { } line)
            {
                pull.Progress.Take(line);
                silence.CancelAfter(Silence);
            }

            if (pull.Progress.Error is { } error) throw new InvalidOperationException(error);
        }
        catch (OperationCanceledException)
        {
            throw new InvalidOperationException($"image {image} could not be pulled: its registry said nothing for {Duration.Format(Silence)}");
        }
        catch (EngineException e) when (e.IsDown)
        {
            throw;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or HttpRequestException)
        {
            throw new InvalidOperationException($"the Docker daemon has no image {image} and could not pull it: {e.Message}", e);
        }
        finally
        {
            pulls.TryRemove(image, out _);
        }
    }

    private sealed class SharedPull(string image)
    {
        private readonly Lock gate = new();
        private Task? done;

        public string Image { get; } = image;

        public ImagePull Progress { get; } = new(image);

        public Task Done => done!;

        public void Begin(Func<Task> pull)
        {
            lock (gate) done ??= Task.Run(pull);
        }
    }
}
