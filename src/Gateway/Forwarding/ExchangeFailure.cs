namespace Sluice.Gateway.Forwarding;

/// <summary>The stage at which an exchange with a worker failed.</summary>
public enum ExchangeFailure
{
    /// <summary>The connection failed: the worker did not receive the request.</summary>
    NotConnected,

    /// <summary>The HTTP client rejected the request before it sent a byte.</summary>
    NotSent,

    /// <summary>The connection closed, or the stream was reset, before the response was complete.</summary>
    Lost,

    /// <summary>The worker sent a response that cannot be parsed: the request was executed.</summary>
    AnswerInvalid,

    /// <summary>
    /// A response violated the framing of the HTTP/2 connection. The client ends all streams of the connection with the
    /// same exception, so the invalid response may belong to another request.
    /// </summary>
    ConnectionInvalid,
}
