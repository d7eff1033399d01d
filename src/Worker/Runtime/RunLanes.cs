using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Runtime;

/// <summary>
/// How many model runs are on the device at once: as many as there are cores, in the order they came. A caller that goes
/// away while it waits costs nothing; one that goes during its run stops it.
/// </summary>
public sealed class RunLanes(int lanes) : IDisposable
{
    private readonly SemaphoreSlim free = new(lanes);

    public async Task<T> RunAsync<T>(Func<RunOptions, T> run, CancellationToken ct)
    {
        await free.WaitAsync(ct);
        try
        {
            return await Task.Run(() => Run(run, ct), CancellationToken.None);
        }
        finally
        {
            free.Release();
        }
    }

    public void Dispose() => free.Dispose();

    private static T Run<T>(Func<RunOptions, T> run, CancellationToken ct)
    {
        using var options = new RunOptions();
        using var stop = ct.UnsafeRegister(o => ((RunOptions)o!).Terminate = true, options);
        try
        {
            return run(options);
        }
        catch (OnnxRuntimeException) when (ct.IsCancellationRequested)
        {
            throw new OperationCanceledException(ct);
        }
        catch (OnnxRuntimeException e) when (e.Message.StartsWith("[ErrorCode:InvalidArgument]", StringComparison.Ordinal))
        {
            throw new InvalidRequestException(e.Message);
        }
    }
}
