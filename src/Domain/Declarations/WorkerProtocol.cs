namespace Sluice.Domain.Declarations;

/// <summary>The HTTP version of a worker.</summary>
public enum WorkerProtocol
{
    /// <summary>HTTP/2 with prior knowledge over cleartext: many requests share few writes.</summary>
    H2c,

    /// <summary>HTTP/1.1, for servers without HTTP/2, and for WebSockets.</summary>
    Http1,
}
