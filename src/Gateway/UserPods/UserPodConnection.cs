namespace Sluice.Gateway.UserPods;

/// <summary>A request that is forwarded to a pod.</summary>
public sealed class UserPodConnection : IDisposable
{
    private readonly CancellationTokenSource cut;
    private readonly Action<UserPodConnection> closed;

    internal UserPodConnection(string podId, int port, string keyId, DateTimeOffset expiresAt,
        Action<UserPodConnection> closed, CancellationToken ct)
    {
        PodId = podId;
        Port = port;
        KeyId = keyId;
        ExpiresAt = expiresAt;
        cut = CancellationTokenSource.CreateLinkedTokenSource(ct);
        this.closed = closed;
    }

    public string PodId { get; }

    public int Port { get; }

    public string KeyId { get; }

    /// <summary>When its cookie expires.</summary>
    public DateTimeOffset ExpiresAt { get; }

    /// <summary>Whether it is a WebSocket: only its messages are activity.</summary>
    public bool IsUpgraded { get; set; }

    /// <summary>Cancelled when the client has gone or the connection must end.</summary>
    public CancellationToken Ended => cut.Token;

    /// <summary>Whether the gateway ended it.</summary>
    public bool WasCut { get; private set; }

    /// <summary>Ends it.</summary>
    public void Cut()
    {
        WasCut = true;
        try
        {
            cut.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended.
        }
    }

    public void Dispose()
    {
        closed(this);
        cut.Dispose();
    }
}
